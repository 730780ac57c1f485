"""Turns: the order in which threads get a model, told by a log of turns and never by a clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from txpanel.errors import Cancelled
from txpanel.models import metrics
from txpanel.models import turns as module
from txpanel.models.turns import Asking, Rank, Turns, asked_by


class Stand:
    """Threads that want turns, one after the other, and what they got."""

    def __init__(self) -> None:
        self.turns, self.log = Turns(), list[str]()
        self._threads: list[threading.Thread] = []

    def want(self, visitor: str | None, rank: Rank, said: str, then: Callable[[], object] = lambda: None) -> Asking:
        """A thread that wants a turn for somebody (None: for a session's own thread); returns when it waits for it."""
        who, before = Asking(visitor), self.turns.waiting

        def work() -> None:
            with self.turns.turn(rank):
                self.log.append(said)
                then()

        def ask() -> None:
            if visitor is None:
                work()
                return
            with asked_by(who):
                try:
                    work()
                except Cancelled:
                    self.log.append(f"{said} left")

        self._threads.append(threading.Thread(target=ask, daemon=True))
        self._threads[-1].start()
        until(lambda: self.turns.waiting > before or not self._threads[-1].is_alive())
        return who

    def end(self) -> list[str]:
        """What happened, when all have been served."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.log


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_looks_go_before_runs_and_runs_visitor_by_visitor(stand: Stand) -> None:
    with stand.turns:
        for n in range(3):
            stand.want("a", Rank.RUN, f"a{n}")
        stand.want("b", Rank.RUN, "b0")
        stand.want("c", Rank.LOOK, "c looks")
        stand.want("b", Rank.RUN, "b1")
        stand.want(None, Rank.LOOK, "a page looks")
    assert stand.end() == ["a page looks", "c looks", "a0", "b0", "a1", "b1", "a2"]


def test_who_goes_through_all_blocks_does_so_among_the_runs(stand: Stand) -> None:
    def sweep() -> None:
        with asked_by(Asking("a", rank=Rank.RUN)), stand.turns:
            stand.log.append("a block of all")

    with stand.turns:
        stand.want("b", Rank.RUN, "a run")
        thread = threading.Thread(target=sweep, daemon=True)
        thread.start()
        until(lambda: stand.turns.waiting == 2)
        stand.want("c", Rank.LOOK, "a look")
    thread.join(10)
    assert stand.end() == ["a look", "a run", "a block of all"]


def test_looks_of_one_visitor_do_not_keep_those_of_another_out(stand: Stand) -> None:
    with stand.turns:
        for n in range(3):
            stand.want("a", Rank.LOOK, f"a{n}")
        stand.want("b", Rank.LOOK, "b")
    assert stand.end() == ["a0", "b", "a1", "a2"]


def test_who_takes_turn_after_turn_keeps_nobody_out(stand: Stand) -> None:
    """As a generation does, which wants the model again at once after each token."""
    begun, rounds = threading.Event(), 0

    def generate() -> None:
        nonlocal rounds
        with asked_by(Asking("generates")):
            while "head" not in stand.log:
                with stand.turns.turn(Rank.RUN):
                    begun.set()
                    waited = stand.turns.waiting
                    rounds += bool(waited)

    thread = threading.Thread(target=generate, daemon=True)
    thread.start()
    assert begun.wait(10)
    stand.want("looks", Rank.LOOK, "head")
    thread.join(10)
    assert stand.end() == ["head"]
    assert rounds <= 1  # of the turns after the look was asked for


def test_a_run_lets_looks_in_between_its_steps(stand: Stand) -> None:
    with asked_by(Asking("long")), stand.turns.turn(Rank.RUN), stand.turns.turn(Rank.RUN):
        stand.log.append("block 0")
        stand.want("short", Rank.RUN, "short run")
        stand.want("looks", Rank.LOOK, "head")
        stand.turns.offer()
        stand.log.append("block 1")
        stand.turns.offer()
        stand.log.append("block 2")
    assert stand.end() == ["block 0", "head", "block 1", "block 2", "short run"]


def test_a_long_run_lets_another_visitors_run_in_after_its_slice(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE", 0.0)
    with asked_by(Asking("long")), stand.turns.turn(Rank.RUN):
        stand.want("long", Rank.RUN, "another of its own")
        stand.want("short", Rank.RUN, "short run")
        stand.turns.offer()
        stand.log.append("block 1")
        stand.turns.offer()
    assert stand.end() == ["short run", "block 1", "another of its own"]


def test_a_look_is_not_interrupted(stand: Stand) -> None:
    with asked_by(Asking("a")), stand.turns.turn(Rank.LOOK):
        stand.want("b", Rank.LOOK, "b")
        stand.want("c", Rank.RUN, "c")
        stand.turns.offer()
        stand.log.append("a")
    assert stand.end() == ["a", "b", "c"]


def test_the_place_in_the_queue_is_told_and_then_that_the_wait_is_over(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAID_AFTER", 0.0)
    monkeypatch.setattr(module, "SAID_EVERY", 0.0)
    monkeypatch.setattr(module, "LOOK_UP", 0.001)
    told: list[int | None] = []
    with stand.turns:
        first = stand.want("a", Rank.RUN, "a0")
        last = stand.want("a", Rank.RUN, "a1")
        last.told = told.append
        until(lambda: told == [2])
        stand.want("b", Rank.RUN, "b")  # another visitor's turn comes before a second one of the same
        until(lambda: told == [2, 3])
        first.cancel.set()
        until(lambda: told == [2, 3, 1])
    assert stand.end() == ["a0 left", "a1", "b"]
    assert told[-1] is None


def test_a_place_that_changes_at_every_turn_is_not_told_each_time(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty who wait would have fifty messages to their pages for every turn of anybody."""
    monkeypatch.setattr(module, "SAID_AFTER", 0.0)
    monkeypatch.setattr(module, "SAID_EVERY", 1000.0)
    monkeypatch.setattr(module, "LOOK_UP", 0.001)
    told: list[int | None] = []
    with stand.turns:
        others = [stand.want(name, Rank.RUN, name) for name in "bcdef"]
        stand.want("a", Rank.RUN, "a").told = told.append
        until(lambda: told == [6])
        for other in others:
            other.cancel.set()
        until(lambda: stand.turns.waiting == 1)
        time.sleep(20 * module.LOOK_UP)
    assert stand.end()[-1] == "a"
    assert told == [6, None]


def test_a_place_that_cannot_be_told_costs_nobody_his_turn(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAID_AFTER", 0.0)
    monkeypatch.setattr(module, "LOOK_UP", 0.001)
    told: list[int | None] = []

    def fails(place: int | None) -> None:
        told.append(place)
        raise RuntimeError("the page has gone")

    with stand.turns:
        stand.want("a", Rank.RUN, "a").told = fails
        until(lambda: told == [1])
    assert stand.end() == ["a"]
    assert told == [1, None]
    assert stand.turns.acquire(timeout=0)  # it was given back
    stand.turns.release()


def test_who_waits_and_how_long_is_among_the_figures(stand: Stand) -> None:
    def seen() -> dict[str, int]:
        return {kind: sum(counts) for kind, counts, _sum in metrics.WAIT.values()}

    before, waiting = seen(), metrics.QUEUE.values()
    with stand.turns:
        stand.want("a", Rank.RUN, "a")
        stand.want("b", Rank.LOOK, "b")
        now = metrics.QUEUE.values()
        assert {kind: now[kind] - waiting[kind] for kind in now} == {"page": 0, "look": 1, "run": 1}
    stand.end()
    assert {kind: n - before.get(kind, 0) for kind, n in seen().items()} == {"page": 1, "look": 1, "run": 1}
    assert metrics.QUEUE.values() == waiting


def test_nobody_is_told_a_place_before_a_second_has_passed(stand: Stand) -> None:
    told: list[int | None] = []
    with stand.turns:
        stand.want("a", Rank.RUN, "a").told = told.append
        time.sleep(3 * module.LOOK_UP)
    stand.end()
    assert told == []


def test_who_waits_can_leave_and_the_next_one_moves_up(stand: Stand) -> None:
    with stand.turns:
        who = stand.want("a", Rank.RUN, "a")
        stand.want("b", Rank.RUN, "b")
        who.cancel.set()
        until(lambda: stand.turns.waiting == 1)
        assert stand.log == ["a left"]
    assert stand.end() == ["a left", "b"]


def test_a_run_that_is_not_wanted_any_more_ends_between_two_steps(stand: Stand) -> None:
    who = Asking("a")

    def run() -> None:
        with asked_by(who), stand.turns.turn(Rank.RUN):
            stand.turns.offer()
            who.cancel.set()
            stand.turns.offer()

    with pytest.raises(Cancelled):
        run()
    assert stand.turns.acquire(timeout=0)
    stand.turns.release()


def test_a_run_cancelled_while_it_lets_others_in_ends_before_all_who_wait(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_UP", 0.001)
    who = Asking("a")

    @contextmanager
    def noted() -> Iterator[None]:
        try:
            yield
        finally:
            stand.log.append("a ends")

    def leave() -> None:
        who.cancel.set()
        time.sleep(0.1)  # the thread that has let us in looks up meanwhile

    def run() -> None:
        with asked_by(who), suppress(Cancelled), stand.turns.turn(Rank.RUN), noted():
            stand.want("b", Rank.LOOK, "b looks", leave)
            stand.want("c", Rank.LOOK, "c looks")
            stand.turns.offer()
            stand.log.append("a goes on")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert stand.end() == ["b looks", "a ends", "c looks"]


def test_it_is_a_lock_that_its_thread_can_take_again() -> None:
    turns, found = Turns(), list[bool]()
    with turns, turns:
        thread = threading.Thread(target=lambda: found.append(turns.acquire(timeout=0.05)))
        thread.start()
        thread.join()
    assert found == [False]
    assert turns.waiting == 0
    assert turns.acquire(timeout=0)
    turns.release()
    with pytest.raises(RuntimeError, match="does not have the turn"):
        turns.release()


def test_under_load_never_two_at_a_time_and_all_are_served() -> None:
    turns, inside, most, done = Turns(), 0, 0, list[int]()

    def work(n: int) -> None:
        nonlocal inside, most
        with asked_by(Asking(n % 3)):
            for i in range(50):
                with turns.turn(Rank.RUN if i % 2 else Rank.LOOK):
                    inside += 1
                    most = max(most, inside)
                    inside -= 1
                    turns.offer()
        done.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == list(range(8))
    assert most == 1
    assert (turns.waiting, turns.taken >= 400) == (0, True)
