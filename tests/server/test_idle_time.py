"""Idle time: work is done while nobody waits, one piece at a time; and each view of ours is built once and let go."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from txpanel.server import idle_time
from txpanel.server.idle_time import IdleTime, builds
from txpanel.server.work_budget import Budget
from txpanel.session import shared
from txpanel.tracing.trace import Trace
from txpanel.views.base import View


def test_pieces_are_done_one_at_a_time_while_nobody_waits() -> None:
    waiting: list[Callable[[], None]] = []
    idle = [False]
    done: list[str] = []

    def fails() -> None:
        raise ValueError("once")

    work = IdleTime(lambda _seconds, look: waiting.append(look), lambda: idle[0])
    work.begin(iter([lambda: done.append("a"), fails, lambda: done.append("b")]))
    for _look in range(3):
        waiting.pop()()
    assert done == []
    idle[0] = True
    waiting.pop()()
    assert done == ["a"]
    waiting.pop()()  # what fails keeps nothing from being done
    waiting.pop()()
    assert done == ["a", "b"]
    waiting.pop()()
    assert not waiting  # nothing is left to do


def test_nothing_is_built_while_a_page_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of a view takes the thread that answers every page, for half a second and more."""
    now = [1000.0]
    monkeypatch.setattr(idle_time, "budget", budget := Budget(lambda: now[0]))
    monkeypatch.setattr(idle_time.upkeep, "calm_for", lambda: 60.0)  # the page has been open for a minute
    assert idle_time._nobody_waits()
    budget.spent("a page", 0.2)
    assert not idle_time._nobody_waits()
    now[0] += idle_time.QUIET - 0.1
    budget.spent("a page", 0.0001)  # it says that it is still there
    assert not idle_time._nobody_waits()
    now[0] += 0.2
    assert idle_time._nobody_waits()


def test_a_server_that_is_never_idle_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(idle_time, "GIVE_UP", -1.0)
    work = IdleTime(lambda _seconds, look: waiting.append(look), lambda: False)
    work.begin(iter([lambda: None]))
    waiting.pop()()
    assert not waiting


def waited_for(done: object) -> None:
    if isinstance(done, threading.Thread):
        done.join(30)
        assert not done.is_alive()


def test_a_thread_is_waited_for_before_the_next_piece() -> None:
    waiting: list[Callable[[], None]] = []
    done: list[str] = []
    go = threading.Event()

    def computes() -> threading.Thread:
        thread = threading.Thread(target=lambda: (go.wait(30), done.append("numbers")))
        thread.start()
        return thread

    work = IdleTime(lambda _seconds, look: waiting.append(look), lambda: True)
    work.begin(iter([computes, lambda: done.append("next")]))
    waiting.pop()()
    waiting.pop()()
    assert done == []
    go.set()
    assert work._thread is not None
    work._thread.join(30)
    waiting.pop()()
    assert done == ["numbers", "next"]


def test_the_thread_that_answers_pages_multiplies_with_no_unembedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logit lens does for each block, surprisal for each token: seconds, in which nobody else would be answered."""
    computed: dict[bool, int] = {True: 0, False: 0}
    own = Trace.unembed

    def unembed(self: Trace, *args: Any, **named: Any) -> Any:
        found = own(self, *args, **named)
        computed[threading.current_thread() is threading.main_thread()] += found.numel() // found.shape[-1]
        return found

    monkeypatch.setattr(Trace, "unembed", unembed)
    for step in builds(shared.shared_model("nano"), "CBABBC=A"):
        waited_for(step())
    assert computed[False] >= 3
    assert not computed[True]


def test_each_view_of_ours_is_built_once_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[View]] = []
    own = View.__init__

    def begun(self: View, *args: object, **named: object) -> None:
        made.append(weakref.ref(self))
        own(self, *args, **named)

    monkeypatch.setattr(View, "__init__", begun)
    steps = list(builds(shared.shared_model("nano"), "CBABBC="))
    assert made == []
    for step in steps:
        waited_for(step())
    kinds = {type(view()).__module__.split(".")[2] for view in made if view() is not None}
    assert len(made) >= 8
    assert kinds <= {"flow", "attention", "embedding", "kv_cache", "mlp", "residual", "sampling", "softmax"}
    del step, steps
    gc.collect()
    assert [view() for view in made] == [None] * len(made)
