"""A visitor from another machine gets the operator's models only, whatever address its page claims."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from bokeh.server import urls

from txpanel.app_hooks import process_request
from txpanel.compat import page_requests
from txpanel.server import cross_site, entry_limits


@pytest.mark.parametrize(
    ("ip", "host", "headers", "peer"),
    [
        ("127.0.0.1", "localhost:5006", {}, "127.0.0.1"),
        ("192.168.7.9", "localhost:5006", {}, "192.168.7.9"),
        ("127.0.0.1", "class.example.org", {}, "class.example.org"),
        ("127.0.0.1", "127.0.0.1:5006", {"X-Forwarded-For": "127.0.0.1"}, "proxy"),
    ],
)
def test_the_peer_is_the_connections_own(ip: str, host: str, headers: dict[str, str], peer: str) -> None:
    request = SimpleNamespace(remote_ip=ip, host=host, headers=headers)
    assert process_request(request)["txpanel_peer"] == peer


def test_the_address_for_limits_is_the_connections_own() -> None:
    """Whatever a header says: Tornado puts a trusted proxy's word into `remote_ip` by itself."""
    request = SimpleNamespace(remote_ip="2001:db8::7", host="localhost", headers={"X-Forwarded-For": "192.0.2.1"})
    assert process_request(request)["txpanel_address"] == "2001:db8::/64"


def test_the_middleware_is_installed_once_this_file_was_read() -> None:
    assert page_requests.gates.count(cross_site.gate) == 1
    assert page_requests.gates.count(entry_limits.gate) == 1
    assert all(
        issubclass(handler, (entry_limits.LimitedPage, entry_limits.LimitedSocket))
        for route, handler in urls.per_app_patterns
        if "meta" not in route
    )
