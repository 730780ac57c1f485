"""What sessions share: runs by (model, text, options), models loaded once, both bounded by bytes."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.families import tiny_hf
from txpanel.errors import Cancelled, DownloadFailed, EmptyText, TooLarge
from txpanel.models.environment import environment
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import MEMORY, Memory, Store
from txpanel.models.progress import Progress
from txpanel.session import shared
from txpanel.session.state import ModelState
from txpanel.tracing.trace import Trace

Tiny = Callable[[str], LanguageModel]


@pytest.fixture(autouse=True)
def empty_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "traces", Store("runs", Trace.storages))
    counted = Memory(lambda: environment().model_bytes)
    monkeypatch.setattr(shared, "models", Store("models", lambda model: model.nbytes, memory=counted))


def test_of_the_models_the_one_that_was_not_used_for_longest_makes_room(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "load", lambda name, **_more: tiny(name))
    monkeypatch.setenv("TXPANEL_MODEL_MB", "1")
    monkeypatch.setattr(LanguageModel, "nbytes", property(lambda _model: 400_000))
    for name in ("gpt2", "llama", "gpt2", "bloom"):
        assert shared.shared_model(name) is tiny(name)
    kept = [shared.models.get((name, "cpu", "None")) for name in ("gpt2", "llama", "bloom")]
    assert kept == [tiny("gpt2"), None, tiny("bloom")]
    assert shared.models.nbytes == 800_000


def test_the_same_text_is_recorded_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, count = tiny("gpt2"), 0
    real = shared.record

    def counting(*args: Any) -> Any:
        nonlocal count
        count += 1
        return real(*args)

    monkeypatch.setattr(shared, "record", counting)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(shared.shared_trace(model, "some text"))) for _n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 1
    assert all(trace is found[0] for trace in found)
    assert shared.shared_trace(model, "other text") is not found[0]
    assert shared.shared_trace(model, "some text", options=("ablated",)) is not found[0]
    assert shared.shared_trace(tiny("llama"), "some text") is not found[0]
    ids = model.encode("some text")
    assert shared.shared_trace(model, ids) is shared.shared_trace(model, tuple(ids))


def test_a_request_by_ids_never_gets_the_run_of_another_text() -> None:
    """A tokenizer with an entry for unknown words has the same ids for many texts."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, "my": 1, "name": 2, "is": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    model = LanguageModel.wrap(tiny_hf("gpt2"), PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>"))
    typed, other = "my name is  Ann", "my name is Bob"
    assert model.encode(typed) == model.encode(other)
    found = shared.shared_trace(model, typed)
    ids = found.tokens.ids.tolist()
    by_ids = shared.shared_trace(model, ids)
    assert (found.text, by_ids.text) == (typed, "my name is")
    assert not any(b"Ann" in piece for piece in by_ids.tokens.pieces)
    assert shared.shared_trace(model, other).text == other
    assert shared.shared_trace(model, ids) is by_ids  # nor does a later text take the place of that run
    plain = shared.shared_trace(model, "my name")
    assert shared.shared_trace(model, plain.tokens.ids.tolist()) is plain


def test_an_error_is_not_kept(tiny: Tiny) -> None:
    for _again in range(2):
        with pytest.raises(EmptyText):
            shared.shared_trace(tiny("gpt2"), "")


def test_a_model_is_loaded_once_and_all_who_wait_see_its_progress(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, waits = threading.Event(), threading.Event(), threading.Event()
    loads = 0

    def load(name: str, progress: Callable[[Progress], None], **_more: Any) -> LanguageModel:
        nonlocal loads
        loads += 1
        begun.set()
        while not go.wait(0.01):
            progress(Progress("download", 1, 2))
        return tiny("gpt2")

    monkeypatch.setattr(shared, "load", load)
    told: dict[str, list[Progress]] = {"first": [], "second": []}
    found: list[LanguageModel] = []

    def session(who: str) -> None:
        def tell(progress: Progress) -> None:
            told[who].append(progress)
            if who == "second":
                waits.set()

        found.append(shared.shared_model("m", progress=tell))

    first = threading.Thread(target=session, args=("first",))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=session, args=("second",))
    second.start()
    assert waits.wait(10)
    go.set()
    first.join()
    second.join()
    assert loads == 1
    assert found == [tiny("gpt2")] * 2
    assert told["first"][-1] == told["second"][-1] == Progress("download", 1, 2)
    assert shared._loading[("m", "cpu", "None")].listeners == []


def test_waiting_can_be_cancelled_and_a_failed_load_is_tried_again_by_the_next(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    outcomes: list[Exception] = []

    def broken(name: str, **_more: Any) -> LanguageModel:
        begun.set()
        assert go.wait(10)
        raise DownloadFailed("The connection broke.")

    def first() -> None:
        try:
            shared.shared_model("m")
        except DownloadFailed as error:
            outcomes.append(error)

    monkeypatch.setattr(shared, "load", broken)
    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(10)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        shared.shared_model("m", cancel=cancel)
    go.set()
    thread.join()
    assert len(outcomes) == 1
    monkeypatch.setattr(shared, "load", lambda name, **_more: tiny("gpt2"))
    assert shared.shared_model("m") is tiny("gpt2")
    monkeypatch.setattr(shared, "load", broken)
    assert shared.shared_model("m") is tiny("gpt2")


@pytest.mark.usefixtures("empty_memory")
def test_runs_go_before_what_is_on_a_screen_and_all_stays_below_the_cap(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("gpt2")
    state = ModelState(model=model, text="what somebody looks at")
    shown = state.trace
    assert shown is not None
    queries = shown.tensor("blocks.0.q")
    one = MEMORY.nbytes
    monkeypatch.setattr(MEMORY, "cap", lambda: 6 * one)
    for n in range(30):
        shared.shared_trace(model, f"{n} what nobody looks at").tensor("blocks.1.pattern")
        assert MEMORY.nbytes <= 6 * one
    assert len(shared.traces) < 30
    assert shared.shared_trace(model, "what somebody looks at") is shown
    assert shown.tensor("blocks.0.q").data_ptr() == queries.data_ptr()  # not replayed again: the same memory
    uid = shown.uid
    state.close()
    del shown, queries
    for n in range(30):
        shared.shared_trace(model, f"{n} and the next")
    assert shared.shared_trace(model, "what somebody looks at").uid != uid
    MEMORY.clear()


def test_a_state_that_is_freed_without_being_closed_has_no_screen_any_more(tiny: Tiny) -> None:
    gc.collect()
    before = len(MEMORY._screens)
    state = ModelState(model=tiny("gpt2"), text="a notebook's")
    assert len(MEMORY._screens) == before + 1
    del state
    gc.collect()
    assert len(MEMORY._screens) == before


def test_masks_that_come_later_are_counted(tiny: Tiny) -> None:
    """A run that grew token by token has none until somebody looks into a block."""
    model = tiny("gpt2")
    shared.shared_trace(model, model.encode("one more"))
    run = shared.shared_trace(model, [*model.encode("one more"), 5])
    before = shared.traces.nbytes
    run.tensor("blocks.0.pattern")
    held: dict[Any, int] = {}
    for kept in shared.traces.values():
        held |= kept.storages()
    assert shared.traces.nbytes == sum(held.values()) > before


def test_a_model_that_does_not_fit_beside_others_takes_their_place(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **_more: Any) -> LanguageModel:
        if len(shared.models):
            raise TooLarge("no room")
        return tiny(name)

    monkeypatch.setattr(shared, "load", load)
    shared.shared_model("gpt2")
    assert shared.shared_model("llama") is tiny("llama")
    assert len(shared.models) == 1

    def never(name: str, **_more: Any) -> LanguageModel:
        raise TooLarge("no room at all")

    monkeypatch.setattr(shared, "load", never)
    with pytest.raises(TooLarge, match="at all"):
        shared.shared_model("huge")
