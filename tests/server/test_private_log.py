"""What visitors write is not in the log, though Tornado and Bokeh quote addresses and messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from bokeh.protocol import Protocol
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from txpanel.models import metrics
from txpanel.server import private_log

SECRET = "My%20secret+text"


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    private_log.install()
    private_log.install()
    yield
    for name in private_log.LOGGERS:
        filters = logging.getLogger(name).filters
        assert len(filters) == 1
        filters.clear()


def request() -> HTTPServerRequest:
    connection = SimpleNamespace(
        context=SimpleNamespace(remote_ip="192.0.2.7", protocol="http"), set_close_callback=None
    )
    line = RequestStartLine("GET", f"/txpanel?text={SECRET}", "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "x"}), connection=connection)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("bokeh"), "propagate", True)
    caplog.set_level(logging.INFO)


def test_an_address_is_logged_without_what_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tornado.access").warning("%d %s %.2fms", 404, f"GET /txpanel?text={SECRET} (192.0.2.7)", 1.5)
    logging.getLogger("tornado.application").error(
        "Uncaught exception %s\n%r", f"GET /txpanel?text={SECRET} (192.0.2.7)", request()
    )
    assert "secret" not in caplog.text
    assert "404 GET /txpanel (192.0.2.7) 1.50ms" in caplog.text
    assert "remote_ip='192.0.2.7'" in caplog.text


def test_a_message_is_logged_by_its_size(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("bokeh.server.views.ws")
    error = ValueError("not a header")
    log.error("Unhandled exception receiving a message: %r: %r", error, '{"events": "My secret text"}')
    log.error(
        "Handler or its work threw an exception: %r: %r", error, Protocol().create("ERROR", "id", "My secret text")
    )
    log.error("Unhandled exception receiving a message: %r: %r", error, b"My secret text")
    assert "secret" not in caplog.text
    assert caplog.text.count("not a header") == 3
    assert "(14 bytes)" in caplog.text


def test_a_value_that_is_no_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tornado.general").warning(
        "%d %s: Invalid unicode in password: b'My secret\\xff'", 400, "POST /login (192.0.2.7)"
    )
    assert "secret" not in caplog.text
    assert "400 POST /login (192.0.2.7): Invalid unicode in password" in caplog.text


def fails(ours: bool) -> Exception:
    """As a message fails that Bokeh cannot read, or a view's watcher of a value in it."""
    names = [
        "bokeh.protocol",
        "txpanel.compat.browser_patches",
        "bokeh.core.property.bases",
        *(["my_view"] if ours else []),
    ]
    code = "def call(rest):\n if rest: return rest[0](rest[1:])\n raise ValueError('no number')"
    calls = []
    for name in names:
        space: dict[str, object] = {"__name__": name}
        exec(code, space)
        calls.append(space["call"])
    try:
        calls[0](calls[1:])  # type: ignore[operator]
    except ValueError as error:
        error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]
        return error
    raise AssertionError


@pytest.mark.parametrize("ours", [True, False])
def test_what_a_browser_sends_that_nobody_can_read_is_no_error_of_the_server(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before, error = metrics.REFUSALS.values().get("message-odd", 0), fails(ours)
    log = logging.getLogger("bokeh.server.protocol_handler")
    log.error("error handling message\n message: %r \n error: %r", "[secret]", error, exc_info=error)
    record = next(one for one in caplog.records if "no number" in one.getMessage())
    assert (record.levelno, bool(record.exc_info)) == ((logging.ERROR, True) if ours else (logging.WARNING, False))
    assert metrics.REFUSALS.values().get("message-odd", 0) == before + (not ours)


def test_what_an_operator_needs_stays(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("bokeh.server.views.ws").error(
        "Refusing websocket connection from Origin '%s'", "https://class.example.org"
    )
    assert "'https://class.example.org'" in caplog.text


def test_a_refusal_has_no_second_line(caplog: pytest.LogCaptureFixture) -> None:
    for status in (429, 503):
        logging.getLogger("tornado.access").error("%d %s %.2fms", status, "GET /txpanel (192.0.2.7)", 1.0)
    logging.getLogger("tornado.access").error("%d %s %.2fms", 500, "GET /txpanel (192.0.2.7)", 1.0)
    assert len(caplog.records) == 1
