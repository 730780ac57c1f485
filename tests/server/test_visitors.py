"""Who counts as local, and that everything that lets strangers in makes everybody a stranger."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from txpanel.server import visitors


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXPANEL_PUBLIC", raising=False)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST:5006", True),
        ("127.0.0.1:5006", True),
        ("127.8.9.1", True),
        ("[::1]:5006", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("class.example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org:80", False),
        ("::ffff:192.0.2.1", False),
        ("/run/txpanel.sock", False),
        ("*", False),
        ("[::1].example.org:5006", False),
        ("localhost:example.org", False),
    ],
)
def test_addresses_of_this_machine_are_local(host: str, own: bool) -> None:
    assert visitors.is_loopback(host) == own


def request(ip: str = "127.0.0.1", host: str = "localhost:5006", **headers: str) -> SimpleNamespace:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(remote_ip=ip, host=host, headers=HTTPHeaders(named))


@pytest.mark.parametrize(
    ("asked", "peer"),
    [
        (request(), "127.0.0.1"),
        (request("::1", "[::1]:5006"), "::1"),
        (request(Origin="http://localhost:5006"), "127.0.0.1"),
        (request("192.168.7.9"), "192.168.7.9"),
        (request(host="class.example.org"), "class.example.org"),
        (request(Origin="https://class.example.org"), "class.example.org"),
        (request(Origin="null"), "proxy"),
        (request(""), "proxy"),
        *((request(**{name.replace("-", "_"): "127.0.0.1"}), "proxy") for name in visitors.FORWARDED),
    ],
)
def test_the_first_thing_that_is_not_of_this_machine_tells(asked: SimpleNamespace, peer: str) -> None:
    assert visitors.peer(asked) == peer
    assert visitors.is_public(peer) == (peer not in ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("addresses", "origins", "public"),
    [
        (["127.0.0.1", "::1"], ["localhost:5006", "127.0.0.1:5006"], False),
        (["0.0.0.0"], ["localhost:5006"], True),
        (["127.0.0.1"], ["localhost:5006", "class.example.org:80"], True),  # nginx's plain proxy_pass
        (["127.0.0.1"], ["*"], True),
        (["/run/txpanel.sock"], [], True),
        (["192.0.2.7"], [], True),
    ],
)
def test_a_way_in_for_strangers_makes_all_visitors_strangers(
    addresses: list[str], origins: list[str], public: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors.expose(addresses, origins)
    assert visitors.is_public("127.0.0.1") == public
    assert bool(visitors.exposed()) == public
    monkeypatch.setenv("TXPANEL_PUBLIC", "0")
    assert not visitors.is_public("192.0.2.9")
    monkeypatch.setenv("TXPANEL_PUBLIC", "1")
    assert visitors.is_public("127.0.0.1")


@pytest.mark.parametrize(
    ("asked", "stranger"),
    [
        (request(), False),
        (request(Origin="http://127.0.0.1:5006"), False),
        (request("192.168.7.9", "192.168.7.2:5006", Origin="http://192.168.7.2:5006"), False),
        (request(host="class.example.org", X_Real_Ip="192.0.2.7"), False),
        (request(host="a.school.example"), False),
        (request(X_Forwarded_For="192.0.2.7"), False),  # a proxy that passes no Host
        (request(host="evil.example:5006", Origin="http://evil.example:5006"), True),
        (request(host="evil.example:5006"), True),
        (
            request(host="evil.example:5006", X_Forwarded_For="127.0.0.1"),
            True,
        ),  # a script may add headers, not change this one
        (request(Origin="http://evil.example:5006"), True),
        (request(host="class.example.org.evil.example"), True),
        (request(host="b.a.school.example"), True),
        (request(host="localhost.evil.example:5006"), True),
        (request(Origin="http://["), False),  # of no site: refused elsewhere
    ],
)
def test_a_name_that_nobody_has_told_makes_a_stranger_where_all_are_trusted(
    asked: SimpleNamespace, stranger: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: evil.example gives its name the address 127.0.0.1, and its page asks under its own name, from its own origin."""
    monkeypatch.setenv("TXPANEL_PUBLIC", "0")
    visitors.expose(["127.0.0.1"], ["localhost:5006", "class.example.org:80", "*.school.example:443"])
    assert visitors.is_public(visitors.peer(asked)) == stranger


def test_all_names_are_known_where_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_PUBLIC", "0")
    visitors.expose(["127.0.0.1"], ["*"])
    assert not visitors.is_public("any.example:5006")


def test_a_name_that_nobody_has_told_is_a_line_of_the_log_once_and_cannot_make_a_second_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TXPANEL_PUBLIC", "0")
    monkeypatch.setattr(visitors, "_noted", set())
    for _again in range(3):
        assert visitors.is_public("evil\nexample:5006")
    assert len(caplog.records) == 1
    assert "\n" not in caplog.messages[0]
    for n in range(100):
        visitors.is_public(f"{n}.example")
    assert len(caplog.records) == visitors.ROOM
