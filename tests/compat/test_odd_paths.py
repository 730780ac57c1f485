"""Addresses that none can be are refused in words, and no line of the log is a traceback."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import tornado
from panel.io.application import Application
from tornado.httputil import HTTPHeaders
from tornado.web import StaticFileHandler

from tests.server.served import Running, served
from txpanel.compat import odd_paths

SCRIPT = "/txpanel/autoload.js?bokeh-autoload-element=1&bokeh-absolute-url="


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with served() as found:
        yield found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/%00", 400),
        ("/static/%00", 400),
        ("/static/js/%00.js", 400),
        ("/static/extensions/panel/%00", 400),
        ("/components/%00", 400),
        ("/%0a", 400),
        ("/x%0d%0aSet-Cookie:a", 400),
        ("/%7f", 400),
        ("/%ff", 400),
        ("/txpanel/%c3%28", 400),
        (SCRIPT + "%ff", 400),
        (SCRIPT + "javascript:alert(1)", 400),
        (SCRIPT + "http://[", 400),
        ("//", 404),
        ("//txpanel", 404),
        ("/..%2f", 404),
        ("/txpanel/%2e%2e/", 404),
        ("/%zz", 404),
        ("/txpanel//", 404),
        ("/static/" + "a" * 5000, 404),
        ("/static/js/..%2f..%2f..%2fetc/passwd", 403),
        ("/txpanel/ws", 400),
        ("/txpanel?place=%ff", 400),
        ("/txpanel?%ff=%ff", 200),
        ("/txpanel?bokeh-absolute-url=%ff", 200),
    ],
)
def test_an_odd_address(running: Running, path: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    found = running.get(path)
    assert found.status == status
    assert "Traceback" not in found.text
    assert [one for one in caplog.records if one.levelno >= logging.ERROR or one.exc_info] == []


@pytest.mark.parametrize("name", ["Origin", "Referer"])
@pytest.mark.parametrize("value", ["http://[", "http://a:b/"])
def test_an_odd_origin(running: Running, name: str, value: str, caplog: pytest.LogCaptureFixture) -> None:
    assert running.get(**{name: value}).status == 400
    assert [one for one in caplog.records if one.levelno >= logging.ERROR or one.exc_info] == []


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost", True), ("a_b.example.org:80", True), ("127.0.0.1:5006", True), ("[::1]:5006", True), ("", True),
        ("a b", False), ("a/b", False), ("[::1].example.org", False), ("evil@localhost", False), ("localhost:x", False), ("a\n", False),
    ],
)  # fmt: skip
def test_a_name(host: str, good: bool) -> None:
    request = SimpleNamespace(path="/", host=host, headers=HTTPHeaders(), arguments={})
    assert (odd_paths.problem(request) is None) == good


def test_a_link_does_not_choose_where_a_pages_files_are_from(running: Running) -> None:
    assert "elsewhere.example" not in running.get("/txpanel?bokeh-absolute-url=https://elsewhere.example/txpanel").text
    assert (
        "https://elsewhere.example/static" in running.get(SCRIPT + "https://elsewhere.example/txpanel").text
    )  # where it is meant for


def test_the_libraries_still_stumble() -> None:
    """When this fails, Tornado refuses such a path by itself: look whether `odd_paths` is still needed."""
    with pytest.raises(ValueError, match=r"null (byte|character)"):
        os.path.realpath("/tmp/\0")
    if tornado.version_info >= (6, 6):  # before, such a file was only one that is not there
        assert "os.path.realpath" in inspect.getsource(StaticFileHandler)
    assert "\\0" not in inspect.getsource(StaticFileHandler)
    assert "abs_url[0].decode" in inspect.getsource(Application._set_session_prefix)
