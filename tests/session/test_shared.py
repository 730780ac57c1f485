"""What sessions share: runs by (model, text, options), models loaded once, both bounded by bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from txpanel.errors import Cancelled, DownloadFailed, EmptyText
from txpanel.models.environment import environment
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import shared

Tiny = Callable[[str], LanguageModel]


@dataclass
class Block:
    nbytes: int


@pytest.fixture(autouse=True)
def empty_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "traces", shared.Store(shared.traces.limit))
    monkeypatch.setattr(shared, "models", shared.Store(shared.models.limit))


def test_a_store_is_bounded_by_bytes_and_drops_what_was_not_used_for_longest() -> None:
    store: shared.Store[Block] = shared.Store(100)
    a, b, c = Block(40), Block(40), Block(40)
    store.put("a", a)
    store.put("b", b)
    assert store.get("a") is a
    store.put("c", c)
    assert (store.get("a"), store.get("b"), store.get("c")) == (a, None, c)
    assert store.nbytes == 80
    store.put("huge", Block(1000))
    assert len(store) == 1  # one is kept, however large
    store.clear()
    assert len(store) == 0


def test_a_store_counts_bytes_as_they_are_now() -> None:
    store: shared.Store[Block] = shared.Store(100)
    growing = Block(10)
    store.put("a", growing)
    growing.nbytes = 95
    store.put("b", Block(10))
    assert store.get("a") is None


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


def test_limits_come_from_the_environment_in_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_TRACE_MB", "7")
    assert environment().trace_bytes == 7_000_000
    monkeypatch.setenv("TXPANEL_TRACE_MB", "plenty")
    assert environment().trace_bytes == 512_000_000
