"""Sessions that share a model: their places in the queue, leaving it, one run for the same text, and looks of long texts."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from txpanel.models import turns
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import Store
from txpanel.session import looks, shared
from txpanel.session.state import ModelState
from txpanel.tracing import Trace

Tiny = Callable[[str], LanguageModel]


class Session:
    """A server's side of a state: results wait in a mailbox until the session's turn."""

    def __init__(self, **params: Any) -> None:
        self.mailbox: queue.Queue[Callable[[], object]] = queue.Queue()
        self.state = ModelState(dispatch=self.mailbox.put, **params)

    def hear(self) -> None:
        while not self.mailbox.empty():
            self.mailbox.get_nowait()()

    def settle(self) -> None:
        until(lambda: self.hear() or (self.state.wait(0.02) and self.mailbox.empty()))

    def place(self) -> int | None:
        self.hear()
        return self.state.progress.place if self.state.progress is not None else None


def until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.002)


@pytest.fixture
def model(tiny: Tiny) -> LanguageModel:
    return tiny("gpt2")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are told without delay, and no run of another test is found."""
    monkeypatch.setattr(turns, "SAID_AFTER", 0.0)
    monkeypatch.setattr(turns, "LOOK_UP", 0.002)
    monkeypatch.setattr(shared, "traces", Store("runs", Trace.storages))


def test_places_are_shown_and_move_up_when_somebody_leaves(model: LanguageModel) -> None:
    sessions = []
    for n in range(3):  # one after the other: places go by whose last turn is longest ago, and that is decided here
        sessions.append(Session(model=model, text=f"text {n}", visitor=n))
        sessions[-1].settle()
    with model.lock:
        for n, session in enumerate(sessions):
            session.state.text = f"another {n}"
            until(lambda n=n: model.lock.waiting == n + 1)
        until(lambda: [session.place() for session in sessions] == [1, 2, 3])
        assert str(sessions[2].state.progress) == "Place 3 in the queue for the model"
        leaver = sessions[1].state
        leaver.cancel()
        assert (leaver.busy, leaver.progress) == (False, None)
        assert "left the queue" in leaver.notice
        until(lambda: [session.place() for session in sessions] == [1, None, 2])
        assert model.lock.waiting == 2
    for session in sessions:
        session.settle()
        assert (session.state.busy, session.state.progress, session.state.error) == (False, None, None)
    assert [session.state.trace.text for session in sessions] == ["another 0", "text 1", "another 2"]
    assert leaver.text == "another 1"  # what was typed stays
    leaver.run()
    sessions[1].settle()
    assert leaver.trace.text == "another 1"


def test_a_waiting_generation_is_still_shown_as_one(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words", seed=3)
    session.settle()
    session.state.generate(50)
    session.mailbox.get(timeout=20)()
    with model.lock:
        until(lambda: session.place() == 1)
        assert session.state.progress.stage == "generate"
        session.state.cancel()
    session.settle()
    tree = session.state.tree
    assert 0 < len(tree) < 50
    assert tree.node(tree.at).ended == "stopped"
    assert session.state.progress is None


def test_after_the_wait_what_was_said_before_is_said_again(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words")
    session.settle()
    state = session.state
    state._waits(2)
    state._waits(1)
    assert state.progress.place == 1
    state._waits(None)
    assert state.progress is None
    state._reads(0.256)
    assert str(state.progress) == "The model is reading the text: 25 %"
    state._waits(1)
    state._waits(None)
    assert str(state.progress) == "The model is reading the text: 25 %"


def test_a_run_that_somebody_makes_already_is_waited_for_and_can_be_left(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "SAID_AFTER", 0.0)
    made: list[str] = []
    real = shared.record

    def counted(model: LanguageModel, text: Any) -> Any:
        made.append(text)
        return real(model, text)

    monkeypatch.setattr(shared, "record", counted)
    sessions = [Session(model=model, text="one", visitor=n) for n in range(3)]
    for session in sessions:
        session.settle()
    assert made == ["one"]
    with model.lock:
        for session in sessions:
            session.state.text = "two"
            until(lambda: made == ["one", "two"])
        until(lambda: sorted(str(session.place()) for session in sessions) == ["0", "0", "1"])
        waits = next(session.state for session in sessions if session.state.progress.place == 0)
        assert "already running this text" in waits.progress.message
        maker = next(session.state for session in sessions if session.state.progress.place == 1)
        waits.cancel()
        maker.cancel()  # the third goes on by itself
        until(lambda: made == ["one", "two", "two"])
    for session in sessions:
        session.settle()
    assert sorted(session.state.trace.text for session in sessions) == ["one", "one", "two"]
    assert shared._making == {}


def test_who_waits_for_a_turn_holds_up_nobody_else_who_looks_at_the_same_run(model: LanguageModel) -> None:
    """A sweep over all blocks waits behind everybody's runs; the page of whoever clicks meanwhile would stand still for all."""
    trace = model.trace("some text")
    trace.tensor("blocks.1.q")
    with model.lock:
        waits = threading.Thread(target=trace.tensor, args=("ln_final",), daemon=True)
        waits.start()
        until(lambda: model.lock.waiting == 1)
        clicks = threading.Thread(target=trace.tensor, args=("blocks.1.pattern",), daemon=True)
        clicks.start()
        clicks.join(5)
        assert not clicks.is_alive()
    waits.join(5)
    assert not waits.is_alive()


def test_a_block_of_a_long_text_is_looked_into_beside_the_page(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(model=model, text="seven words")
    session.settle()
    state, came = session.state, list[str]()
    state.layer = 1
    assert state.ready_to_look(lambda: came.append("never"))  # a short text: at once, on the session's own thread
    monkeypatch.setattr(looks, "AT_ONCE", 0.0)

    def then() -> None:
        assert state.ready_to_look(then)
        came.append(f"block {state.layer}")

    here: list[int] = []
    real = type(state.trace)._replay

    def replayed(trace: Any, *block: Any) -> Any:
        here.append(threading.get_ident())
        return real(trace, *block)

    monkeypatch.setattr(type(state.trace), "_replay", replayed)
    state.layer = 2
    with model.lock:
        assert not state.ready_to_look(then)
        state.layer = 1
        assert not state.ready_to_look(then)
        assert came == []
    until(lambda: session.hear() or came)
    assert came == ["block 1"]  # the newest wish only
    assert here
    assert threading.get_ident() not in here
    assert ModelState(model=model, text="seven words").ready_to_look(then)  # a script


def test_a_block_that_cannot_be_looked_into_is_not_tried_for_ever(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from txpanel.errors import Unsupported

    session = Session(model=model, text="seven words")
    session.settle()
    state, came = session.state, list[bool]()
    monkeypatch.setattr(looks, "AT_ONCE", 0.0)

    def refused(*_args: Any) -> Any:
        raise Unsupported("It could not be observed.")

    monkeypatch.setattr(type(state.trace), "_replay", refused)
    state.layer = 2

    def then() -> None:
        came.append(state.ready_to_look(then))

    assert not state.ready_to_look(then)
    until(lambda: session.hear() or came)
    assert came == [True]
    assert not caplog.records
