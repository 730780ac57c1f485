"""One cap over all stores together: the newest stays, what is on a screen goes last, what is shared counts once."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from txpanel.models import machine, memory
from txpanel.models.memory import Memory, Store


@dataclass(eq=False)
class Run:
    """Something with storages."""

    sizes: Mapping[Any, int] = field(default_factory=dict)


@pytest.fixture
def counted() -> Memory:
    return Memory(cap=lambda: 100)


def blocks(counted: Memory, name: str = "blocks", **more: Any) -> Store[Any, int]:
    return Store(name, lambda size: size, memory=counted, **more)


def runs(counted: Memory) -> Store[Any, Run]:
    return Store("runs", lambda run: run.sizes, memory=counted)


def test_the_cap_holds_over_all_stores_together(counted: Memory) -> None:
    a, b, c = (blocks(counted, name) for name in "abc")
    for n in range(50):
        for store in (a, b, c):
            store.put(n, 7)
            assert counted.nbytes <= 100
    assert sum(counted.held().values()) == counted.nbytes
    assert all(held > 0 for held in counted.held().values())  # none takes the others' place
    assert [a.get(49), b.get(49), c.get(49)] == [7, 7, 7]


def test_what_was_not_used_for_longest_goes_first_from_whichever_store(counted: Memory) -> None:
    a, b = blocks(counted, "a"), blocks(counted, "b")
    a.put("old", 40)
    b.put("young", 40)
    assert a.get("old") == 40  # used: now the young one is older
    b.put("new", 40)
    assert (a.get("old"), b.get("young"), b.get("new")) == (40, None, 40)


def test_the_newest_stays_however_large(counted: Memory) -> None:
    a = blocks(counted)
    a.put("small", 10)
    a.put("huge", 1000)
    assert (a.get("small"), a.get("huge")) == (None, 1000)
    a.put("next", 10)
    assert (a.get("huge"), a.get("next")) == (None, 10)


def test_what_is_on_a_screen_goes_last(counted: Memory) -> None:
    kept, replayed = runs(counted), blocks(counted, "replayed")
    run = Run({"stream": 20})
    kept.put("text", run, owner=1)
    replayed.put((1, "q"), 20, owner=1)
    counted.show("screen", run, owner=1, sizes=run.sizes)
    for n in range(20):  # others come and go, all of them used later
        replayed.put((2, n), 20, owner=2)
        assert counted.nbytes <= 100
    assert kept.get("text") is run
    assert replayed.get((1, "q")) == 20
    replayed.put((3, "large"), 70, owner=3)
    assert (kept.get("text"), replayed.get((1, "q"))) == (run, None)  # now what can be computed again goes, not the run
    counted.leave("screen")
    replayed.put((3, "larger"), 90, owner=3)
    assert kept.get("text") is None


def test_a_run_that_is_shown_is_counted_though_no_store_keeps_it(counted: Memory) -> None:
    run = Run({"stream": 60})
    counted.show("screen", run, owner=1, sizes=run.sizes)
    assert counted.nbytes == 60
    assert counted.held() == {"screens": 60}
    other = blocks(counted)
    other.put("a", 30)
    other.put("b", 30)
    assert (other.get("a"), other.get("b")) == (None, 30)
    counted.leave("screen")
    assert counted.nbytes == 30


def test_too_much_on_the_screens_is_said_once(counted: Memory, caplog: pytest.LogCaptureFixture) -> None:
    run = Run({"stream": 300})
    counted.show("screen", run, owner=1, sizes=run.sizes)
    with caplog.at_level(logging.WARNING):
        for n in range(3):
            blocks(counted).put(n, 10)
    assert len(caplog.records) == 1
    assert "TXPANEL_MEMORY_MB" in caplog.text


def test_what_several_share_counts_once_and_stays_while_one_has_it(counted: Memory) -> None:
    kept = runs(counted)
    kept.put("a", Run({"rows": 40, "logits of a": 10}))
    kept.put("b", Run({"rows": 40, "logits of b": 10}))
    assert counted.nbytes == kept.nbytes == 60
    kept.pop("a")
    assert counted.nbytes == 50
    kept.pop("b")
    assert counted.nbytes == 0
    assert counted.dropped == 60


def test_a_value_that_grows_is_counted_again(counted: Memory) -> None:
    kept, run = runs(counted), Run({"rows": 40})
    kept.put("other", Run({"other": 30}))
    kept.put("a", run, owner=1)
    kept.put("the same", run, owner=1)
    run.sizes = {"rows": 40, "masks": 50}
    kept.recount(1)
    assert counted.nbytes == 90  # the other one had to go
    assert kept.get("other") is None
    kept.put("a", Run({"rows": 40}), owner=1)
    assert kept.held(1) == 90  # under the other key it is still the larger one


def test_what_belongs_to_a_run_goes_with_it_even_in_the_midst_of_something(counted: Memory) -> None:
    replayed = blocks(counted)
    replayed.put("q", 10, owner=1)
    replayed.put("k", 10, owner=2)
    with counted._lock:  # as if the garbage collector came while another call is at work
        counted.forget(1)
        assert replayed._number in counted._entries
    assert replayed.put("v", 10, owner=2) == 10
    assert (replayed.get("q"), replayed.get("k")) == (None, 10)
    assert counted.nbytes == 20


def test_a_store_that_is_freed_takes_its_values_along(counted: Memory) -> None:
    of_a_model = blocks(counted, "prefixes")
    of_a_model.put("a", 30)
    del of_a_model
    gc.collect()
    assert counted.nbytes == 0
    assert counted.held() == {}


def test_a_store_may_be_bounded_by_number_too(counted: Memory) -> None:
    few = blocks(counted, most=2)
    for n in range(5):
        few.put(n, 1)
    assert few.values() == [1, 1]
    assert len(few) == 2
    assert 4 in few
    few.clear()
    assert counted.nbytes == 0


def test_clearing_leaves_what_is_on_a_screen(counted: Memory) -> None:
    kept, run = runs(counted), Run({"rows": 40})
    kept.put("a", run, owner=1)
    kept.put("b", Run({"others": 40}), owner=2)
    counted.show("screen", run, owner=1, sizes=run.sizes)
    counted.clear()
    assert (kept.get("a"), kept.get("b")) == (run, None)


def test_what_sessions_take_counts_too_up_to_half(counted: Memory) -> None:
    for reserved, room in ((30, 70), (1000, 50)):
        counted.reserved = lambda reserved=reserved: reserved  # type: ignore[misc]
        kept = blocks(counted)
        for n in range(30):
            kept.put(n, 7)
        assert 0.95 * room - 7 <= counted.nbytes <= room


def test_threads_may_come_and_go(counted: Memory) -> None:
    stores = [blocks(counted, name) for name in "abcd"]

    def work(at: int) -> None:
        for n in range(500):
            stores[(at + n) % 4].put((at, n % 30), n % 17, owner=n % 5)
            stores[at].get((at, n % 30))
            counted.show(at, Run(), owner=n % 3, sizes={f"screen {at}": n % 5})
            if n % 50 == 0:
                counted.forget(n % 5)
                counted.held()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(4):
        counted.leave(at)
    for store in stores:
        store.clear()
    assert counted.nbytes == 0
    assert (counted._holders, dict(counted._on_screen), counted._owned) == ({}, {}, {})


def test_the_cap_is_the_operators_or_a_share_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXPANEL_MEMORY_MB", raising=False)
    monkeypatch.delenv("TXPANEL_TRACE_MB", raising=False)
    monkeypatch.setattr(machine, "total", lambda: 64_000_000_000)
    assert memory.cap() == 1_000_000_000
    monkeypatch.setattr(machine, "total", lambda: 2_000_000_000)
    assert memory.cap() == 500_000_000
    monkeypatch.setenv("TXPANEL_TRACE_MB", "70")
    assert memory.cap() == 70_000_000  # the old variable, until there is the new one
    monkeypatch.setenv("TXPANEL_MEMORY_MB", "50")
    assert memory.cap() == 50_000_000


@pytest.mark.parametrize("room", ["txpanel.tracing.store", "txpanel.tracing.prefix"])
def test_the_limits_of_single_stores_say_what_has_taken_their_place(room: str) -> None:
    from importlib import import_module

    with pytest.warns(DeprecationWarning, match="TXPANEL_MEMORY_MB"):
        assert memory.cap() == import_module(room).LIMIT
    with pytest.raises(AttributeError):
        _ = import_module(room).NOTHING
