"""The watchdog names the view that holds the server up, switches it off, and knows when nothing is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from txpanel.server.watchdog import FROZEN, SLOW, Watchdog
from txpanel.views import discovery
from txpanel.views.base import View
from txpanel.views.running import Step, at_work, steps


class Slow(View):
    id, title = "slow", "Slow"


class Loop:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []

    def answer(self) -> None:
        for each in self.asked:
            each()
        self.asked.clear()


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(loop: Loop, clock: Clock) -> Watchdog:
    return Watchdog(loop.asked.append, threading.get_ident(), clock)


def step(monkeypatch: pytest.MonkeyPatch, view: type, since: float) -> Step:
    one = Step(view, threading.get_ident(), since)
    monkeypatch.setattr("txpanel.views.running._steps", [one])
    return one


def test_a_loop_that_answers_is_not_frozen(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    dog = made(loop, clock)
    for _second in range(40):
        dog.look()
        loop.answer()
        clock.time += 0.5
        assert dog.frozen_for() == 0
    assert not caplog.records


def test_a_frozen_loop_is_known_and_said_once_with_its_stack(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    dog = made(loop, clock)
    for _look in range(60):
        dog.look()
        clock.time += 0.5
    assert FROZEN < dog.frozen_for() <= 30
    (record,) = caplog.records
    assert "test_a_frozen_loop_is_known" in record.getMessage()
    loop.answer()
    assert dog.frozen_for() == 0


def test_a_slow_view_is_named_once_with_its_stack(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dog = made(Loop(), clock)
    step(monkeypatch, Slow, clock.time)
    clock.time += SLOW - 0.1
    dog.look()
    assert not caplog.records
    clock.time += 0.2
    dog.look(), dog.look()
    (record,) = caplog.records
    assert "test_watchdog:Slow has been at work for 5.1 s" in record.getMessage()
    assert "test_a_slow_view_is_named_once" in record.getMessage()
    assert "it is built in, and stays" in record.getMessage()  # discovery does not know it as another package's


def test_a_view_of_another_package_is_switched_off(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "_keys", {Slow: ("a-package", "slow")})
    monkeypatch.setattr(discovery, "_off", {})
    dog = made(Loop(), clock)
    step(monkeypatch, Slow, clock.time - 6)
    dog.look()
    assert "off for new sessions" in caplog.text
    assert "more than 5 seconds" in discovery._off["a-package", "slow"]


def test_a_callback_that_no_frame_knows_of_is_known_by_its_code(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "_keys", {Slow: ("a-package", "slow")})
    monkeypatch.setattr(discovery, "_off", {})
    monkeypatch.setattr("txpanel.views.running._steps", [])
    monkeypatch.setattr(discovery, "view_of", lambda module: Slow if module == __name__ else None)
    dog = made(Loop(), clock)
    for _look in range(15):
        dog.look()
        clock.time += 0.5
    (record,) = caplog.records
    assert "test_watchdog:Slow has been at work for" in record.getMessage()
    assert ("a-package", "slow") in discovery._off


def test_a_view_is_not_blamed_for_what_others_do_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 9.0])
    monkeypatch.setattr("txpanel.views.running.time.monotonic", lambda: next(times))

    class Other(View):
        id, title = "other", "Other"

    with at_work(Slow):
        with at_work(Other):
            assert [each.view for each in steps()] == [Slow, Other]
        (outer,) = steps()
        assert outer.since == 8.0
    assert steps() == ()


def test_the_views_of_a_page_say_when_they_work(doc: Any) -> None:
    import panel as pn
    import param

    from txpanel.views.frame import ViewFrame

    class State(param.Parameterized):
        trace = param.Parameter()

    seen: list[str] = []

    class Telling(View):
        id, title = "telling", "Telling"

        def __init__(self, *given: Any, **params: Any) -> None:
            seen.append(f"init {len(steps())}")
            super().__init__(*given, **params)

        def __panel__(self) -> Any:
            seen.append(f"panel {len(steps())}")
            self.follow(lambda: seen.append(f"update {len(steps())}"), "trace")
            return pn.pane.Str("")

        def close(self) -> None:
            seen.append(f"close {len(steps())}")
            super().close()

    state = State(trace=1)
    frame = ViewFrame.of(state, Telling)
    frame.build()
    state.trace = 2
    frame.close()
    assert seen == ["init 1", "panel 1", "update 2", "update 1", "close 1"]
    assert steps() == ()
