"""The state, with a real model: by itself (blocking) and as in a server (worker thread, mailbox)."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from txpanel.decoding.generation import end_tokens, generate
from txpanel.errors import Cancelled, DownloadFailed, ModelNotFound
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import Memory, Store
from txpanel.models.progress import Progress
from txpanel.sampling import pipeline
from txpanel.session import jobs, shared
from txpanel.session.state import ModelState
from txpanel.tracing import Trace, open_trace, record

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def model(tiny: Tiny) -> LanguageModel:
    return tiny("gpt2")


@pytest.fixture
def state(model: LanguageModel) -> ModelState:
    return ModelState(model=model, text="seven words")


class Session:
    """A server's side of a state: results wait in a mailbox until the session's turn."""

    def __init__(self, **params: Any) -> None:
        self.mailbox: queue.Queue[Callable[[], object]] = queue.Queue()
        self.state = ModelState(dispatch=self.mailbox.put, **params)

    def settle(self) -> None:
        """Until nothing runs and nothing waits."""
        limit = time.monotonic() + 20
        while not self.state.wait(0.02) or not self.mailbox.empty():
            assert time.monotonic() < limit
            while not self.mailbox.empty():
                self.mailbox.get_nowait()()


# by itself ------------------------------------------------------------------------------------------------------------


def test_the_trace_is_there_in_the_next_line(state: ModelState, model: LanguageModel) -> None:
    assert state.trace.text == "seven words"
    assert state.sampled.token == pipeline(state.trace.logits).token
    assert (state.query, state.key) == (10, 0)
    assert (state.busy, state.error, state.stale) == (False, None, False)
    state.text = "other"
    assert state.trace.text == "other"
    assert state.query == 4
    assert state.model_name == model.name
    assert state.model_reason


def test_one_event_for_each_run(state: ModelState) -> None:
    events: list[set[str]] = []
    names = ["trace", "sampled", "query", "stale", "busy", "layer"]
    state.param.watch(lambda *changes: events.append({change.name for change in changes}), names)
    state.text = "more words than that"
    assert [changes for changes in events if "trace" in changes] == [{"trace", "sampled", "query", "stale", "busy"}]


def test_a_text_can_come_before_its_model_and_the_other_way_round(model: LanguageModel) -> None:
    state = ModelState(text="seven", layer=2)
    assert state.trace is None
    assert state.error is None
    state.model = model
    assert state.trace.text == "seven"
    assert state.layer == 2
    later = ModelState(model=model)
    assert later.trace is None
    later.text = "x"
    assert later.trace.text == "x"


def test_places_given_at_the_start_are_kept_and_clamped(model: LanguageModel) -> None:
    state = ModelState(model=model, text="seven words", layer=77, head=2, query=3)
    assert (state.layer, state.head, state.query) == (2, 2, 3)
    state.text = "seven words more"
    assert state.query == 3  # somebody chose it
    state.text = "se"
    assert state.query == 1
    state.text = "seven"
    assert state.query == 4  # it was the last one, and follows


def test_settings_redraw_without_a_run(state: ModelState) -> None:
    trace = state.trace
    state.temperature = 0
    assert state.sampled.token == int(trace.logits.values.argmax())
    state.param.update(temperature=1.3, top_k=7, top_p=0.9, min_p=0.01, seed=4)
    assert state.sampled.settings == state.settings
    expected = pipeline(trace.logits, temperature=1.3, top_k=7, top_p=0.9, min_p=0.01, seed=4)
    assert state.sampled.draw == expected.draw
    assert state.trace is trace


def test_settings_that_leave_no_token_are_said_and_the_run_stays(state: ModelState) -> None:
    trace, first = state.trace, state.sampled
    state.repetition_penalty = 1e-39
    assert state.sampled is None
    assert "repetition_penalty" in (state.error or "")
    state.text = "seven words more"
    assert len(state.trace.tokens) == 16
    assert "repetition_penalty" in (state.error or "")
    state.param.update(text="seven words", repetition_penalty=1.0)
    assert state.trace is trace
    assert state.sampled.draw == first.draw
    assert state.error is None


def test_penalties_look_at_the_text_and_generation_follows_them(state: ModelState, model: LanguageModel) -> None:
    state.param.update(typical_p=0.7, repetition_penalty=1.3, no_repeat_ngram_size=1)
    assert state.sampled.settings == state.settings
    assert not set(state.trace.tokens.ids.tolist()) & set(state.sampled.order.tolist())
    steps = generate(
        model, "seven words", 6, typical_p=0.7, repetition_penalty=1.3, no_repeat_ngram_size=1
    )  # fmt: skip
    tokens = [step.token for step in steps]
    state.generate(6)
    assert state.trace.tokens.ids[11:].tolist() == tokens
    assert len(set(tokens)) == len(tokens)


def test_append_takes_the_drawn_token_and_moves_the_seed_on(state: ModelState) -> None:
    token, ids = state.sampled.token, state.trace.tokens.ids.tolist()
    state.append()
    assert state.trace.tokens.ids.tolist() == [*ids, token]
    assert state.query == len(ids)
    assert state.seed == state.sampled.draw.seed == 1
    state.append(ord("x"))
    assert state.trace.tokens.ids[-1] == ord("x")
    state.append(10**9)
    assert "not the id" in (state.error or "")
    assert state.trace.tokens.ids[-1] == ord("x")


def test_generate_appends_and_equals_single_appends(state: ModelState, model: LanguageModel) -> None:
    shown: list[int] = []
    told: list[str] = []
    state.param.watch(lambda event: shown.append(len(event.new.tokens)), "trace")
    state.param.watch(lambda event: event.new and told.append(str(event.new)), "progress")
    single = ModelState(model=model, text="seven words")
    state.generate(4)
    for _n in range(len(shown)):
        single.append()
    assert shown == list(range(12, 12 + len(shown)))
    assert told[0] == "Token 1 of 4"
    assert state.trace.tokens.ids.tolist() == single.trace.tokens.ids.tolist()
    assert state.sampled.draw == single.sampled.draw
    assert not state.busy
    assert state.progress is None


def test_generation_says_why_it_ended(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    state = ModelState(model=model, text="x" * (model.max_tokens - 1), temperature=0)
    state.generate(5)
    assert "full" in (state.notice or "")
    for again in (lambda: state.generate(5), state.append, lambda: state.append(7)):
        again()
        assert "no further token fits" in (state.error or "")  # not: the text is one token too long
    state.text = "seven"
    assert state.notice is state.error is None
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", int(state.sampled.token))
    assert int(state.sampled.token) in end_tokens(model)
    state.generate(5)
    assert "ended" in (state.notice or "")


def test_undo_brings_back_text_run_and_draw(state: ModelState) -> None:
    first = state.sampled
    assert not state.can_undo
    state.append()
    state.text = "typed"
    assert (state.can_undo, state.can_redo) == (True, False)
    state.undo()
    assert len(state.trace.tokens) == 12
    assert state.seed == 1
    state.undo()
    assert state.trace.text == "seven words"
    assert state.sampled.draw == first.draw
    assert (state.can_undo, state.can_redo) == (False, True)
    state.undo()
    state.redo()
    state.redo()
    assert state.text == state.trace.text == "typed"


def test_one_undo_takes_a_whole_generation_back(state: ModelState) -> None:
    state.generate(4)
    state.undo()
    assert state.text == state.trace.text == "seven words"


def test_an_edit_after_an_append_is_tokenized_anew(state: ModelState, model: LanguageModel) -> None:
    state.append(0xE2)
    state.append(0x82)
    assert "�" not in state.text
    state.text = state.text + "!"
    assert state.trace.tokens.ids.tolist() == model.encode(state.text)


# what goes wrong ------------------------------------------------------------------------------------------------------


def test_too_long_is_a_sentence_and_nothing_is_lost(state: ModelState, model: LanguageModel) -> None:
    before, long = state.trace, "x" * (model.max_tokens + 5)
    state.text = long
    assert str(model.max_tokens) in (state.error or "")
    assert state.text == long
    assert state.trace is before
    assert state.stale
    state.text = "short"
    assert state.error is None
    assert not state.stale


def test_an_empty_text_empties_the_picture(state: ModelState) -> None:
    state.ask("logits", vocab=3)
    state.text = ""
    assert state.trace is state.sampled is state.question is None
    assert "Type" in (state.error or "")
    state.append()
    state.undo()
    assert state.trace.text == "seven words"
    assert state.error is None


@pytest.mark.parametrize(
    "text", ["\x00", "🙂", "עברית", "a\u200bb", "<script>alert(1)</script>", "\ud800", " ", "\n\n"]
)
def test_odd_texts_keep_the_session_alive(state: ModelState, text: str) -> None:
    state.text = text
    assert state.text == text
    assert (state.error is None) == (state.trace.text == text)
    state.text = "again"
    assert state.trace.text == "again"


def test_what_nobody_foresaw_is_a_sentence_too(
    state: ModelState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("a wire is loose")

    monkeypatch.setattr(jobs, "shared_trace", broken)
    with caplog.at_level(logging.ERROR):
        state.text = "next"
    assert "a wire is loose" in (state.error or "")
    assert "unexpected" in caplog.text
    assert not state.busy
    monkeypatch.setattr(jobs, "shared_trace", lambda *args: (_ for _ in ()).throw(MemoryError()))
    state.text = "yet another"
    assert "memory" in (state.error or "")


class Gone(BaseException):
    """What no ``except Exception`` catches, as SystemExit."""


@pytest.mark.parametrize("death", [Gone("went away"), SystemExit(3), MemoryError(), KeyboardInterrupt()])
def test_what_would_end_the_models_thread_is_said_and_the_next_text_runs(
    death: BaseException, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_args: Any) -> Any:
        raise death

    session = Session(model=model, text="seven words")
    session.settle()
    monkeypatch.setattr(jobs, "shared_trace", dies)
    session.state.text = "seven other words"
    session.settle()
    assert not session.state.busy
    assert session.state.stale, "an old prediction behind a new text"
    assert ("not enough memory" if isinstance(death, MemoryError) else type(death).__name__) in session.state.error
    monkeypatch.undo()
    session.state.text = "other words"
    session.settle()
    assert (session.state.error, session.state.trace.text, session.state.stale) == (None, "other words", False)


def test_a_thread_that_cannot_be_started_is_said_and_the_next_text_runs(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    session = Session(model=model, text="seven words")
    session.settle()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    session.state.text = "seven other words"
    assert "can't start new thread" in session.state.error
    assert not session.state.busy
    monkeypatch.undo()
    session.state.text = "other words"
    session.settle()
    assert (session.state.error, session.state.trace.text) == (None, "other words")


def test_an_error_of_a_watcher_is_raised_and_the_run_is_shown(state: ModelState) -> None:
    def broken(_event: Any) -> None:
        raise ZeroDivisionError

    watcher = state.param.watch(broken, "trace")
    with pytest.raises(ZeroDivisionError):
        state.text = "next"
    assert state.trace.text == "next"
    assert (state.error, state.busy) == (None, False)
    state.param.unwatch(watcher)


# models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Models that `load` finds: a family's tiny model, an error to raise, or a function."""
    shelf: dict[str, Any] = {"one": tiny("gpt2"), "two": tiny("llama"), "gone": DownloadFailed("The line is cut.")}

    def load(name: str, **options: Any) -> LanguageModel:
        found = shelf.get(name, ModelNotFound(f"There is no model {name!r}."))
        if isinstance(found, Exception):
            raise found
        return found(**options) if not isinstance(found, LanguageModel) else found

    monkeypatch.setattr(shared, "load", load)
    monkeypatch.setattr(shared, "models", Store("models", lambda model: model.nbytes, memory=Memory(lambda: 10**9)))
    return shelf


def test_loading_another_model_runs_it_on_the_text(state: ModelState, shelf: dict[str, Any], tiny: Tiny) -> None:
    state.ask("logits", vocab=3)
    state.pin()
    state.append()
    events: list[set[str]] = []
    state.param.watch(lambda *changes: events.append({change.name for change in changes}), ["model", "trace"])
    state.load("two", reason="A test wants it.")
    assert state.model is tiny("llama")
    assert state.trace.model is tiny("llama")
    assert (state.model_name, state.model_reason) == ("two", "A test wants it.")
    assert events == [{"model", "trace"}]
    assert state.trace.text == state.text
    assert state.question is None
    assert state.pinned == ()
    state.load("one")
    assert state.model_reason == "You chose this model."


@pytest.mark.parametrize(("name", "words"), [("gone", "cut"), ("nonsense", "no model")])
def test_a_model_that_does_not_come_leaves_the_old_one(
    state: ModelState, shelf: dict[str, Any], name: str, words: str
) -> None:
    before = (state.model, state.trace, state.model_name)
    state.load(name)
    assert words in (state.error or "")
    assert (state.model, state.trace, state.model_name) == before
    state.text = "goes on"
    assert state.trace.text == "goes on"


def test_a_model_for_which_the_text_is_too_long_is_there_all_the_same(shelf: dict[str, Any], tiny: Tiny) -> None:
    state = ModelState(text="x" * 500)
    state.load("two")
    assert state.model is tiny("llama")
    assert state.trace is None
    assert state.error
    empty = ModelState()
    empty.load("two")
    assert empty.model is tiny("llama")
    assert empty.error is None


def test_a_text_typed_while_the_first_model_runs_is_what_is_shown(
    shelf: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run was under way when somebody pressed Enter: it came back and took the new text away."""
    begun, go, run = threading.Event(), threading.Event(), jobs.run

    def waits(*given: Any) -> Any:
        begun.set()
        assert go.wait(10)
        return run(*given)

    session = Session(text="of the address")
    monkeypatch.setattr(jobs, "run", waits)
    session.state.load("one")
    assert begun.wait(10)
    session.state.text = "typed on"
    go.set()
    session.settle()
    assert session.state.text == session.state.trace.text == "typed on"
    assert session.state.model_name == "one"
    assert not session.state.stale
    assert not session.state.busy


def test_a_name_may_be_refused(shelf: dict[str, Any]) -> None:
    def permit(name: str) -> None:
        raise ModelNotFound("Not on this server.")

    state = ModelState(permit=permit)
    state.load("one")
    assert state.error == "Not on this server."
    assert state.model is None
    state.load("one", trusted=True)  # the page's own choice at the start
    assert state.model is not None


def test_a_saved_run_is_looked_at_without_its_model(model: LanguageModel, tmp_path: Path) -> None:
    saved = record(model, "seven words").save(tmp_path / "run.safetensors")
    state = ModelState(trace=open_trace(saved))
    assert state.text == "seven words"
    assert state.model is None
    assert state.query == 10
    assert state.sampled.token == pipeline(state.trace.logits).token
    state.append()
    assert "file" in (state.error or "")
    assert state.text == "seven words"
    live = ModelState(trace=record(model, "live"))
    live.append()
    assert len(live.trace.tokens) == 5


# as in a server -------------------------------------------------------------------------------------------------------


def test_nothing_changes_but_through_dispatch(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words")
    state = session.state
    assert state.busy
    assert state.wait(20)
    assert state.trace is None
    session.settle()
    assert state.trace.text == "seven words"
    assert not state.busy


def test_the_newest_request_wins(model: LanguageModel) -> None:
    session = Session(model=model, text="a")
    session.settle()
    shown: list[str] = []
    session.state.param.watch(lambda event: shown.append(event.new.text), "trace")
    with model.lock:  # the first request is held up while ten more come
        for n in range(10):
            session.state.text = "b" * (n + 1)
            assert session.state.stale
    session.settle()
    assert shown == ["b" * 10]
    assert not session.state.busy


def test_generating_at_once_after_an_edit_goes_on_from_the_new_text(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words")
    session.settle()
    with model.lock:  # the run of the new text is held up
        session.state.text = "goes on"
        session.state.generate(3)
    session.settle()
    state, alone = session.state, ModelState(model=model, text="goes on")
    alone.generate(3)
    assert len(state.tree) == 3
    assert (state.tree.root.text, state.text) == ("goes on", alone.text)
    assert list(state.trace.tokens.ids) == list(alone.trace.tokens.ids)


def test_generation_can_be_cancelled_and_keeps_what_is_there(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words", seed=3)
    session.settle()
    session.state.generate(100)
    session.mailbox.get(timeout=20)()
    session.mailbox.get(timeout=20)()
    assert len(session.state.trace.tokens) == 13
    assert session.state.busy
    session.state.cancel()
    session.settle()
    assert len(session.state.trace.tokens) == 13
    assert not session.state.busy
    session.state.text = "goes on"
    session.settle()
    assert session.state.trace.text == "goes on"


def test_loading_tells_its_progress_and_can_be_cancelled(shelf: dict[str, Any]) -> None:
    stopped = threading.Event()

    def slow(progress: Callable[[Progress], None], cancel: threading.Event, **_more: Any) -> LanguageModel:
        progress(Progress("download", 10, 100, message="Bringing it"))
        assert cancel.wait(20)
        stopped.set()
        raise Cancelled("Stopped.")

    shelf["slow"] = slow
    session = Session(text="x")
    session.state.load("slow")
    session.mailbox.get(timeout=20)()
    assert session.state.progress is not None
    assert session.state.progress.fraction == 0.1
    session.state.cancel()
    assert stopped.wait(20)
    session.settle()
    assert (session.state.busy, session.state.progress, session.state.error) == (False, None, None)


def test_two_sessions_share_runs_and_do_not_mix(model: LanguageModel) -> None:
    one, two = Session(model=model, text="seven words"), Session(model=model, text="seven words")
    one.settle()
    two.settle()
    assert one.state.trace is two.state.trace
    one.state.text = "only here"
    one.state.focus(layer=2)
    one.settle()
    two.settle()
    assert two.state.trace.text == "seven words"
    assert two.state.layer == 0


def test_a_closed_session_holds_nothing(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "traces", Store("runs", Trace.storages, memory=Memory(cap=lambda: 1)))
    session = Session(model=model, text="a text of its own, 1")
    session.settle()
    trace = weakref.ref(session.state.trace)
    state = weakref.ref(session.state)
    session.state.close()
    shared.traces.clear()
    gc.collect()
    assert trace() is None
    del session
    gc.collect()
    assert state() is None
