"""What the operators' nginx.conf does by itself: what it passes on, what it keeps back, and who is sent to which process."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import nginx
from tests.nginx import Nginx


class Echo(BaseHTTPRequestHandler):
    """Stands in for txpanel: says which process it is and what it was told about the visitor."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"port": self.server.server_address[1], **dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


class Leaving(Echo):
    """Its connections end with it, as those of a process do."""

    protocol_version = "HTTP/1.0"


@pytest.fixture(scope="module")
def processes() -> Iterator[list[ThreadingHTTPServer]]:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Echo) for _ in range(3)]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site(processes: list[ThreadingHTTPServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx.running(tmp_path_factory.mktemp("nginx"), [server.server_address[1] for server in processes]) as running:
        yield running


def told(site: Nginx, path: str = "/txpanel", **headers: str) -> dict[str, str]:
    return json.loads(site.ask(path, **headers).text)  # type: ignore[attr-defined, no-any-return]


def test_who_comes_without_tls_is_sent_to_it(site: Nginx) -> None:
    answer = site.ask("/txpanel?text=a%20b", secure=False)
    assert answer.status == 301
    assert answer.headers["Location"] == "https://class.example.org/txpanel?text=a%20b"
    assert site.ask("/.well-known/acme-challenge/token", secure=False).text == "proof"  # type: ignore[attr-defined]


def test_the_server_is_told_the_visitors_address_and_nothing_made_up(site: Nginx) -> None:
    made_up = {"X-Forwarded-For": "10.0.0.1", "X-Real-IP": "10.0.0.1", "Forwarded": "for=10.0.0.1", "X-Scheme": "http"}
    heard = told(site, **made_up, **{"X-Forwarded-Proto": "http"})
    assert heard["Host"] == "class.example.org"
    assert (heard["X-Real-IP"], heard["X-Forwarded-For"]) == ("127.0.0.1", "127.0.0.1")
    assert (heard["X-Forwarded-Proto"], heard["X-Scheme"]) == ("https", "https")
    assert "Forwarded" not in heard


def test_a_websocket_is_passed_on_as_one(site: Nginx) -> None:
    heard = told(site, "/txpanel/ws", Upgrade="websocket", Connection="Upgrade")
    assert (heard["Upgrade"], heard["Connection"]) == ("websocket", "upgrade")
    assert "Upgrade" not in told(site)


def test_figures_are_kept_back(site: Nginx) -> None:
    assert site.ask("/metrics").status == 404
    assert site.ask("/health").status == 200


def test_a_browser_stays_with_its_process_and_browsers_of_one_address_are_spread(site: Nginx) -> None:
    counted: Counter[str] = Counter()
    for _browser in range(30):
        answer = site.ask("/txpanel")
        port = json.loads(answer.text)["port"]  # type: ignore[attr-defined]
        cookie = SimpleCookie(answer.headers["Set-Cookie"])["txpanel_at"]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
        for path in ("/txpanel/ws", "/static/js/bokeh.min.js", "/txpanel"):
            assert told(site, path, Cookie=f"txpanel_at={cookie.value}")["port"] == port
        counted[port] += 1
    assert len(counted) == 3
    assert max(counted.values()) < 24


def test_who_was_with_a_process_that_is_gone_gets_another_one(tmp_path: Path) -> None:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Leaving) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    with nginx.running(tmp_path, [server.server_address[1] for server in servers]) as site:
        port = told(site, Cookie="txpanel_at=somebody")["port"]
        gone, left = sorted(servers, key=lambda server: server.server_address[1] != port)
        gone.shutdown()
        gone.server_close()
        assert told(site, Cookie="txpanel_at=somebody")["port"] == left.server_address[1]
        left.shutdown()
        left.server_close()
        away = site.ask("/txpanel?text=a")  # nobody is left: a page that comes back, with its address
        assert (away.status, away.headers["Retry-After"], away.headers["Cache-Control"]) == (503, "3", "no-store")
        assert away.headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<meta http-equiv="refresh" content="3">' in away.text  # type: ignore[attr-defined]


def test_the_log_has_no_text_of_anybody(site: Nginx) -> None:
    site.ask("/txpanel?text=My%20secret", Referer="https://class.example.org/txpanel?text=My%20secret")
    site.ask("/txpanel?text=My%20secret", secure=False)
    log = (site.folder / "txpanel.log").read_text(encoding="utf-8")
    assert '"GET /txpanel" 200' in log
    assert '"GET /txpanel" 301' in log
    assert "secret" not in log
