"""A visitor from another machine gets the operator's models only, whatever address its page claims."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from txpanel.app_hooks import process_request


@pytest.mark.parametrize(
    ("ip", "headers", "peer"),
    [
        ("127.0.0.1", {"Host": "localhost:5006"}, "127.0.0.1"),
        ("192.168.7.9", {"Host": "localhost:5006"}, "192.168.7.9"),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, ""),
    ],
)
def test_the_peer_is_the_connections_own(ip: str, headers: dict[str, str], peer: str) -> None:
    request = SimpleNamespace(remote_ip=ip, headers=headers)
    assert process_request(request) == {"txpanel_peer": peer}
