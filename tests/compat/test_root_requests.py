"""The root keeps the query of a link; HEAD is answered, and makes no session."""

from __future__ import annotations

import http.client
import inspect
import urllib.request
from collections.abc import Iterator

import pytest
from panel.io.server import DocHandler, RootHandler

from tests.server.served import Running, served
from txpanel.compat import replacing


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with served() as found:
        yield found


def test_the_root_leads_to_the_page_with_the_whole_link(running: Running) -> None:
    found = running.get("/?text=a%20b&layer=3")
    assert (found.status, found.headers["Location"]) == (302, "./txpanel?text=a%20b&layer=3")
    assert running.get("/").headers["Location"] == "./txpanel"


@pytest.mark.parametrize("path", ["/txpanel", "/txpanel?text=a"])
def test_head_is_answered_without_a_body_and_makes_no_session(running: Running, path: str) -> None:
    before = running.sessions
    request = urllib.request.Request(running.root + path, method="HEAD")
    with urllib.request.urlopen(request, timeout=20) as found:
        assert (found.status, found.read()) == (200, b"")
        assert "text/html" in found.headers["Content-Type"]
    assert running.sessions == before


def test_head_of_the_root_leads_to_the_page_too(running: Running) -> None:
    asked = http.client.HTTPConnection(running.root.removeprefix("http://"), timeout=20)
    asked.request("HEAD", "/?text=a")
    found = asked.getresponse()
    assert (found.status, found.headers["Location"], found.read()) == (302, "./txpanel?text=a", b"")
    asked.close()


def test_panel_still_drops_the_query_and_knows_no_head() -> None:
    """When this fails, look which part of `root_requests` is still needed."""
    assert "head" not in DocHandler.__dict__ or hasattr(DocHandler.__dict__["head"], replacing.OWN)
    assert "self.redirect(redirect" in inspect.getsource(inspect.unwrap(RootHandler.get))
    assert "query" not in inspect.getsource(inspect.unwrap(RootHandler.get))
