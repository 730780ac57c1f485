"""How often something may happen, for each address."""

from __future__ import annotations

import pytest

from txpanel.server import rates
from txpanel.server.rates import Buckets, network


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    assert [buckets.ask("a", 3, 0.5) for _again in range(3)] == [0, 0, 0]
    assert buckets.ask("a", 3, 0.5) == pytest.approx(2)
    assert buckets.ask("b", 3, 0.5) == 0  # somebody else
    clock.now = 1.0
    assert buckets.ask("a", 3, 0.5) == pytest.approx(1)
    clock.now = 2.0
    assert buckets.ask("a", 3, 0.5) == 0
    clock.now = 1000.0
    assert [buckets.ask("a", 3, 0.5) for _again in range(4)] == [0, 0, 0, pytest.approx(2)]  # never more than the burst


def test_wait_takes_nothing_from_the_bucket() -> None:
    buckets = Buckets(Clock())
    assert [buckets.wait("a", 2, 0.5) for _again in range(5)] == [0.0] * 5
    for _again in range(3):
        buckets.owe("a", 2, 0.5)
    assert buckets.wait("a", 2, 0.5) == pytest.approx(4)


def test_who_owes_waits_the_longer_the_more_he_sends() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    waits = [buckets.owe("a", 2, 10) for _again in range(5)]
    assert waits == pytest.approx([0, 0, 0.1, 0.2, 0.3])
    clock.now = 0.3
    assert buckets.owe("a", 2, 10) == pytest.approx(0.1)
    buckets.forget("a")
    assert buckets.owe("a", 2, 10) == 0


def test_addresses_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "REMEMBERED", 5)
    buckets = Buckets(Clock())
    for n in range(50):
        buckets.ask(str(n), 1, 1)
    assert len(buckets._buckets) == 5


@pytest.mark.parametrize(
    ("address", "whom"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_whom_an_address_stands_for(address: str, whom: str) -> None:
    assert network(address) == whom
