"""Steps wait for the page, whoever is on it; not for one that says nothing, and not without a page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from txpanel.session import pacing
from txpanel.session.pacing import Pacing


@dataclass(frozen=True)
class Step:
    n: int
    progress: object | None = "more"


STEPS = [Step(0), Step(1), Step(2), Step(3, None)]


class Run:
    """A request in a thread: what came out of it so far, and when."""

    def __init__(self, held: Pacing, *, fast: bool = False) -> None:
        self.cancel, self.came = threading.Event(), list[tuple[int, bool]]()
        self._steps: Iterator[tuple[Step, bool]] = held.steps(STEPS, self.cancel, fast=fast)
        self._held = held
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        for step, token_only in self._steps:
            self.came.append((step.n, token_only))
            self._held.shown()

    def until(self, n: int) -> None:
        limit = time.monotonic() + 10
        while len(self.came) < n:
            assert time.monotonic() < limit, self.came
            time.sleep(0.005)

    def end(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_without_a_page_no_step_waits() -> None:
    run = Run(Pacing())
    run.end()
    assert [n for n, _token_only in run.came] == [0, 1, 2, 3]


def test_a_step_is_made_when_the_page_has_drawn_the_one_before() -> None:
    held = Pacing()
    held.follow_page()
    run = Run(held)
    for n in range(1, 4):
        run.until(n)
        time.sleep(0.1)
        assert len(run.came) == n
        held.acknowledge()
    run.end()
    assert len(run.came) == 4


def test_a_page_that_says_nothing_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "PATIENCE", 0.1)
    held = Pacing()
    held.follow_page()
    begin = time.monotonic()
    run = Run(held)
    run.end()
    assert len(run.came) == 4
    assert time.monotonic() - begin >= 0.3


def test_a_cancelled_request_waits_for_nobody() -> None:
    held = Pacing()
    held.follow_page()
    run = Run(held)
    run.until(1)
    run.cancel.set()
    run.end()


def test_of_fast_steps_some_come_with_their_token_alone_and_never_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "PATIENCE", 0.01)
    held = Pacing()
    held.follow_page()
    run = Run(held, fast=True)
    run.end()
    assert run.came == [(0, False), (1, True), (2, True), (3, False)]
    unpaged = Run(Pacing(), fast=True)
    unpaged.end()
    assert not any(token_only for _n, token_only in unpaged.came)
