"""Upkeep: free memory is given back when it is worth it, and all runs go when everybody has gone, but not before."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from txpanel.models import metrics, needs
from txpanel.models.memory import Memory, Store
from txpanel.server import garbage_collection, upkeep


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Memory:
    found = Memory(cap=lambda: 10**9)
    monkeypatch.setattr(upkeep, "MEMORY", found)
    monkeypatch.setattr(upkeep, "FullCollections", partial(garbage_collection.FullCollections, collect=lambda: None))
    return found


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    times: list[int] = []
    monkeypatch.setattr(upkeep, "give_back", lambda: times.append(1))
    return times


def test_runs_go_when_everybody_has_gone_for_a_while(counted: Memory, given: list[int]) -> None:
    kept: Store[int, int] = Store("runs", lambda size: size, memory=counted)
    kept.put(1, 1000)
    look = upkeep.Upkeep().look
    look(0, 1000, 100)  # nobody has been here yet: the first model has just been brought
    look(1, 0, 200)
    look(0, upkeep.ALONE - 1, 300)  # somebody reloads the page
    assert kept.get(1) == 1000
    assert not given
    look(0, upkeep.ALONE, 301)
    assert kept.get(1) is None
    assert len(given) == 1
    for now in range(400, 500, 10):
        look(0, 1000, now)
    assert len(given) == upkeep.AGAIN  # and then no more


class System:
    """What the system and the C library say of the process: bytes that are there, and those of them that are not in use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.free, self.asked = 10**9, 2 * 10**8, 0
        self.given: list[int] = []
        monkeypatch.setattr(upkeep, "resident", lambda: self.there)
        monkeypatch.setattr(upkeep, "not_in_use", self._free)
        monkeypatch.setattr(upkeep, "give_back", self._give)

    def _free(self) -> int:
        self.asked += 1
        return self.free

    def _give(self) -> None:
        self.given.append(self.free)
        self.there, self.free = self.there - self.free, 0


def test_much_that_is_free_and_still_there_is_given_back(counted: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch)
    look = upkeep.Upkeep().look
    look(3, 0, 100)
    assert not system.given  # what was there before, such as Python's own blocks, is no reason
    system.there += 10 * upkeep.MUCH  # in use
    look(3, 0, 101)
    assert not system.given
    system.free += upkeep.MUCH  # nothing that was kept: a pass has ended
    look(3, 0, 102)
    assert len(system.given) == 1
    system.there, system.free = system.there + upkeep.MUCH, upkeep.MUCH
    look(3, 0, 102 + upkeep.RARELY / 2)
    assert len(system.given) == 1  # not again at once: all threads stand still meanwhile
    look(3, 0, 102 + upkeep.RARELY)
    assert len(system.given) == 2


def test_what_only_python_has_taken_counts_once(counted: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of sessions are in blocks that Python maps by itself: they look free, and giving back changes nothing about them."""
    system = System(monkeypatch)
    monkeypatch.setattr(upkeep, "give_back", lambda: system.given.append(0))
    look = upkeep.Upkeep().look
    system.there, system.free = system.there + upkeep.MUCH, system.free + upkeep.MUCH
    for now in range(100, 200, 5):
        look(3, 0, now)
    assert len(system.given) == 1
    system.there, system.free = system.there - upkeep.MUCH, system.free - upkeep.MUCH  # they have gone
    kept: Store[int, int] = Store("runs", lambda size: size, memory=counted)
    kept.put(1, upkeep.MUCH)
    kept.pop(1)
    look(3, 0, 200)
    system.free += upkeep.MUCH  # and what takes their place is free for the C library to give
    look(3, 0, 205)
    assert len(system.given) == 2


def test_the_c_library_is_asked_only_where_something_has_changed(
    counted: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(monkeypatch)
    look = upkeep.Upkeep().look
    before = system.asked
    for now in range(100, 200):
        look(3, 0, now)
    assert system.asked == before
    kept: Store[int, int] = Store("runs", lambda size: size, memory=counted)
    kept.put(1, upkeep.MUCH)
    kept.pop(1)  # freed, so that there is no more than before, and more of it is free
    system.free += upkeep.MUCH
    look(3, 0, 200)
    assert (system.asked > before, len(system.given)) == (True, 1)


def test_what_ended_sessions_have_left_is_looked_for_while_others_are_open(counted: Memory, given: list[int]) -> None:
    times: list[int] = []
    asked = garbage_collection.FullCollections(lambda: times.append(1), lambda: 0.0)
    look = upkeep.Upkeep(full_collections=asked).look
    look(3, 0, 1)
    assert not times
    asked.ended()
    look(2, 0, 1 + garbage_collection.ENDED)
    assert len(times) == 1
    look(0, upkeep.ALONE, 2 + garbage_collection.ENDED)  # all have gone
    assert len(times) == 2


def test_where_nobody_says_what_is_free_much_that_was_let_go_is_given_back(
    counted: Memory, given: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "not_in_use", lambda: None)
    kept: Store[int, int] = Store("runs", lambda size: size, memory=counted)
    look = upkeep.Upkeep().look
    kept.put(1, upkeep.MUCH // 2)
    kept.pop(1)
    look(3, 0, 100)
    assert not given
    for now, times in ((101, 1), (102, 1), (101 + upkeep.RARELY, 2)):
        kept.put(1, upkeep.MUCH)
        kept.pop(1)
        look(3, 0, now)
        assert len(given) == times  # not again at once: all threads stand still meanwhile


def test_sessions_are_counted() -> None:
    before = upkeep.open_sessions()
    upkeep.begun()
    assert upkeep.open_sessions() == before + 1
    upkeep.ended()
    assert upkeep.open_sessions() == before


def test_the_start_says_which_variables_are_replaced(
    counted: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TXPANEL_TRACE_MB", "70")
    monkeypatch.setattr(metrics.HELD, "_all", None)
    monkeypatch.setattr(upkeep, "_started", type(upkeep._started)())
    monkeypatch.setattr(upkeep.threading, "Thread", lambda **_more: type("T", (), {"start": lambda self: None})())
    with caplog.at_level(logging.WARNING):
        upkeep.start()
        upkeep.start()
    assert [record.message.split()[0] for record in caplog.records] == ["TXPANEL_TRACE_MB"]
    kept: Store[int, int] = Store("runs", lambda size: size, memory=counted)
    kept.put(1, 1000)
    assert metrics.HELD.values()["runs"] == 1000  # for /metrics
    upkeep.begun()
    try:
        monkeypatch.setattr(upkeep.kept_connections, "held", lambda: 5)
        holes = upkeep.cap() // upkeep.HOLES
        assert (
            counted.reserved() == upkeep.open_sessions() * needs.FRESH + 5 + holes > 5 + holes
        )  # a session's page counts, too
        assert metrics.HELD.values()["connections"] == 5
    finally:
        upkeep.ended()
