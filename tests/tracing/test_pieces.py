"""Long texts in pieces, and passes that let others in: the numbers are those of the untouched model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.families import FAMILIES, VARIANTS
from tests.observing import looking_on
from txpanel.errors import Cancelled
from txpanel.models import turns
from txpanel.models.language_model import LanguageModel
from txpanel.models.turns import Asking, Rank, asked_by
from txpanel.tracing import pieces
from txpanel.tracing.record import prefixes, record
from txpanel.tracing.taps import Taps
from txpanel.tracing.trace import Trace

Tiny = Callable[[str], LanguageModel]
NAMES = sorted([*FAMILIES, *VARIANTS])
ENDS = [7, 16, 17, 29, 40]


def ids_of(n: int, seed: int = 0) -> list[int]:
    return torch.randint(3, 250, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def untouched(model: LanguageModel, ids: list[int]) -> tuple[list[Tensor], Tensor]:
    """Streams [T, D] before each block and after the last, and the last logits, of transformers' own pass without a cache."""
    taps = Taps(model.parts.blocks)
    try:
        with torch.inference_mode():
            logits = model.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
    finally:
        taps.remove()
    return [stream[0] for stream in taps.streams], logits


def size(tensor: Tensor) -> float:
    return float(tensor.abs().max())


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few tokens, as if the model were slow."""
    monkeypatch.setattr(pieces, "PROBE", 8)
    monkeypatch.setattr(pieces, "FLOOR", 4)
    monkeypatch.setattr(pieces, "STEP", 1)
    monkeypatch.setattr(pieces, "speed", lambda model, ids: 1.0)


def in_pieces(model: LanguageModel, ids: list[int], **more: Any) -> Trace:
    with asked_by(Asking("somebody")):
        return record(model, ids, **more)


@pytest.mark.parametrize("name", NAMES)
def test_in_pieces_each_layer_is_that_of_the_untouched_model(
    tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 1e-5 of the layer's own size. `ends` is set, so that families with experts are tried too (their choice is held below)."""
    model, ids = tiny(name), ids_of(40)
    prefixes(model).clear()
    with monkeypatch.context() as cut:
        cut.setattr(pieces, "ends", lambda *_args: ENDS)
        trace = record(model, ids)
    assert trace.recording.pieces == tuple(ENDS)
    streams, logits = untouched(model, ids)
    assert len(trace.recording.streams) == len(streams)
    for ours, own in zip(trace.recording.streams, streams, strict=True):
        assert size(ours - own) <= 1e-5 * size(own)
    assert size(trace.recording.logits - logits) <= 1e-5 * size(logits)
    check = trace.check(1)
    assert "run in parts of 12 tokens" in check.note
    assert check.difference <= 1e-5 * size(streams[2])
    assert trace.provenance["recorded_in_pieces_of"] == "12"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "moe" in name or name in ("mixtral", "gpt_oss", "deepseek_v3")]
)
def test_a_router_never_chooses_in_pieces(tiny: Tiny, name: str, cut: None) -> None:
    model, ids = tiny(name), ids_of(40)
    prefixes(model).clear()
    assert in_pieces(model, ids).recording.pieces == ()


def test_a_text_that_goes_on_from_an_earlier_one_does_so_in_pieces(tiny: Tiny, cut: None) -> None:
    model, ids = tiny("llama"), ids_of(60)
    prefixes(model).clear()
    record(model, ids[:20])
    trace = in_pieces(model, ids)
    assert trace.recording.reused == 20
    assert trace.recording.pieces[-1] == 60
    assert len(trace.recording.pieces) > 2
    for ours, own in zip(trace.recording.streams, untouched(model, ids)[0], strict=True):
        assert size(ours - own) <= 1e-5 * size(own)
    longer = in_pieces(model, [*ids, 5])
    assert longer.recording.reused == 60
    assert longer.recording.pieces == ()


def test_pieces_become_shorter_the_more_there_is_to_look_back_at(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = tiny("llama"), [5] * 50_000
    monkeypatch.setattr(pieces, "speed", lambda model, ids: pieces.work(model, 0, 4000) / pieces.SECONDS)
    with asked_by(Asking("somebody")):
        found = pieces.ends(model, ids)
        assert pieces.ends(model, ids) == found
        assert pieces.ends(model, ids[:3000]) == [3000]  # short enough for one pass: it stays exact
    starts = [0, *found]
    lengths = [end - start for start, end in zip(starts, found, strict=False)]
    assert found[-1] == 50_000
    assert lengths[0] <= 4000
    assert lengths[:-1] == sorted(lengths[:-1], reverse=True)
    assert min(lengths[:-1]) >= pieces.FLOOR
    budget = pieces.work(model, 0, 4000)
    assert all(pieces.work(model, a, b) <= budget or b - a == pieces.FLOOR for a, b in zip(starts, found, strict=False))


def test_nobody_waits_for_a_script_so_it_reads_in_one_pass(tiny: Tiny, cut: None) -> None:
    model = tiny("gpt2")
    prefixes(model).clear()
    trace = record(model, ids_of(40))
    assert trace.recording.pieces == ()
    assert trace.check(1).exact


def test_the_speed_is_measured_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = tiny("gpt2"), ids_of(100)
    monkeypatch.setattr(pieces, "_speeds", type(pieces._speeds)())
    measured = pieces.speed(model, ids)
    assert measured > 0
    assert pieces.speed(model, ids_of(90, 1)) == measured


def test_a_cache_that_does_not_continue_means_one_pass(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from txpanel.tracing.rows import RoomyLayer

    model, ids = tiny("llama"), ids_of(40)
    prefixes(model).clear()
    monkeypatch.setattr(pieces, "ends", lambda *_args, **_more: ENDS)
    monkeypatch.setattr(RoomyLayer, "get_seq_length", lambda self: 0)
    trace = record(model, ids)
    assert trace.recording.pieces == ()
    assert torch.equal(trace.recording.streams[-1], record(model, ids, reuse=False).recording.streams[-1])


def test_what_was_read_before_somebody_left_is_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids, who = tiny("qwen3"), ids_of(40), Asking("somebody")
    prefixes(model).clear()
    monkeypatch.setattr(pieces, "ends", lambda _model, ids, start=0, **_more: [n for n in ENDS if n > start])
    seen: list[float] = []

    def read(part: float) -> None:
        seen.append(part)
        if part > 17 / 40:
            who.cancel.set()

    who.read = read
    with asked_by(who), pytest.raises(Cancelled):
        record(model, ids)
    assert seen == sorted(seen)
    trace = record(model, ids)
    assert trace.recording.reused == 17
    for ours, own in zip(trace.recording.streams, untouched(model, ids)[0], strict=True):
        assert size(ours - own) <= 1e-5 * size(own)


@pytest.mark.parametrize("name", NAMES)
def test_a_block_run_again_in_pieces_is_the_recorded_one(
    tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same pieces bit for bit; and each tensor is that of the block run again as a whole."""
    model, ids = tiny(name), ids_of(40)
    prefixes(model).clear()
    with monkeypatch.context() as cut:
        cut.setattr(pieces, "ends", lambda *_args, **_more: ENDS)
        trace = record(model, ids)
        checks = [trace.check(layer) for layer in range(3)]
        names = trace.names(1) + [name for name in trace.graph.dims if name.startswith("blocks.1.")]
        found = {name: trace.tensor(name) for name in names}
    assert all(check.exact and "run in parts" in check.note for check in checks)
    whole = record(model, ids, reuse=False)
    for name, tensor in found.items():
        other = whole.tensor(name)
        assert tensor.shape == other.shape, name
        finite = torch.isfinite(other)
        assert torch.equal(torch.isfinite(tensor), finite), name
        if finite.any():
            close = 1e-4 * size(other[finite].float())
            torch.testing.assert_close(tensor[finite].float(), other[finite].float(), rtol=0, atol=close, msg=name)


def test_between_two_pieces_of_a_look_others_have_their_turn(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = tiny("llama"), ids_of(40)
    trace = record(model, ids, reuse=False)
    monkeypatch.setattr(pieces, "ends", lambda *_args, **_more: ENDS)
    begin = model.lock.taken
    trace.tensor("blocks.1.q")
    assert model.lock.taken - begin == len(ENDS) + 1  # and once before, to see whether the model is still the same
    trace.check(1)  # of that very look: the page says it without another one
    assert model.lock.taken - begin == len(ENDS) + 2


@contextmanager
def meanwhile(model: LanguageModel, layer: int, rank: Rank, work: Callable[[], object]) -> Iterator[list[str]]:
    """Inside, when this thread's pass comes to a block, another thread wants the model; says what happened in which order."""
    log, me, threads = list[str](), threading.get_ident(), list[threading.Thread]()

    def other() -> None:
        with asked_by(Asking("another")), model.lock.turn(rank):
            log.append("the other one begins")
            work()
            log.append("the other one is done")

    def come(i: int) -> Callable[..., None]:
        def before(*_call: Any) -> None:
            if threading.get_ident() != me:
                return
            if i == layer and not threads:
                threads.append(threading.Thread(target=other))
                threads[0].start()
                end = time.monotonic() + 10
                while not model.lock.waiting:
                    assert time.monotonic() < end
                    time.sleep(0.001)

        return before

    def done(i: int) -> Callable[..., None]:
        return lambda *_call: log.append(f"block {i}") if threading.get_ident() == me else None

    hooks = [parts.block.register_forward_pre_hook(looking_on(come(i))) for i, parts in enumerate(model.parts.blocks)]
    hooks += [parts.block.register_forward_hook(looking_on(done(i))) for i, parts in enumerate(model.parts.blocks)]
    try:
        yield log
        threads[0].join(10)
        assert not threads[0].is_alive()
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("name", NAMES)
def test_a_look_comes_between_two_blocks_and_changes_nothing(tiny: Tiny, name: str) -> None:
    model, ids = tiny(name), ids_of(24)
    prefixes(model).clear()
    before = record(model, ids, reuse=False)
    looked = record(model, ids_of(20, 1), reuse=False)
    q = looked.tensor("blocks.1.q").clone()
    again = record(model, ids_of(20, 1), reuse=False)
    with meanwhile(model, 1, Rank.LOOK, lambda: again.tensor("blocks.1.q")) as log:
        trace = record(model, ids, reuse=False)
    assert log == ["block 0", "the other one begins", "the other one is done", "block 1", "block 2"]
    assert torch.equal(again.tensor("blocks.1.q"), q)
    assert all(map(torch.equal, trace.recording.streams, before.recording.streams))
    assert torch.equal(trace.recording.logits, before.recording.logits)
    assert trace.check(1).exact == before.check(1).exact


@pytest.mark.parametrize("name", NAMES)
def test_another_visitors_run_comes_between_two_pieces(tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.0)
    model, ids, others = tiny(name), ids_of(24), ids_of(30, 2)
    expected = [record(model, text, reuse=False).recording for text in (ids, others)]
    prefixes(model).clear()
    found: dict[str, Trace] = {}
    with meanwhile(model, 2, Rank.RUN, lambda: found.update(other=record(model, others))) as log:
        found["own"] = record(model, ids)
    assert log.index("the other one begins") < log.index("block 2")  # they alternate from there on
    for trace, whole in zip((found["own"], found["other"]), expected, strict=True):
        assert all(map(torch.equal, trace.recording.streams, whole.streams))
        assert torch.equal(trace.recording.logits, whole.logits)
    step = record(model, [*ids, 7])
    assert step.recording.reused == len(ids)
    for ours, own in zip(step.recording.streams, untouched(model, [*ids, 7])[0], strict=True):
        assert size(ours - own) <= 1e-5 * size(own)
