"""A text that grows holds its rows once, and what a run shows never changes afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from transformers.cache_utils import DynamicCache

from tests.families import FAMILIES
from tests.observing import looking_on
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import Memory, Store
from txpanel.tracing.prefix import Prefix
from txpanel.tracing.record import extend, prefixes, record
from txpanel.tracing.trace import Trace

Tiny = Callable[[str], LanguageModel]
STEPS = 110
recording = sys.modules["txpanel.tracing.record"]  # the module: its name in the package is the function


def grow(model: LanguageModel, steps: int) -> list[Trace]:
    traces = [model.trace("the cat sat")]
    for step in range(steps):
        traces.append(extend(traces[-1], [97 + step % 20]))
    return traces


def test_bytes_are_linear_in_the_tokens(tiny: Tiny) -> None:
    traces = grow(tiny("llama"), STEPS)
    store: Store[int, Trace] = Store("runs", Trace.storages, memory=Memory(cap=lambda: 10**12))
    for i, trace in enumerate(traces):
        store.put(i, trace)
    last = traces[-1]
    row = last.anatomy.width * 4 * (last.anatomy.n_layers + 1)
    logits = sum(trace.recording.logits.nbytes for trace in traces)
    # buffers double at worst while they move to a larger place, and the earlier, smaller ones live as long as their runs
    assert store.nbytes - logits < 6 * row * len(last.tokens)
    assert sum(trace.nbytes for trace in traces) - logits > 30 * row * len(last.tokens)  # what n copies would be


def test_earlier_runs_keep_their_numbers_while_the_text_grows_and_branches(tiny: Tiny) -> None:
    model = tiny("qwen3")
    traces = grow(model, 12)
    before = [[stream.clone() for stream in trace.recording.streams] for trace in traces]
    branch = extend(
        traces[5], [65, 66]
    )  # the buffers of the long run go on beyond row 5: a branch must not write there
    longer = extend(traces[-1], [67])
    for trace, kept in zip(traces, before, strict=True):
        for now, then in zip(trace.recording.streams, kept, strict=True):
            assert torch.equal(now, then)
    for trace in (branch, longer):
        whole = record(model, [int(i) for i in trace.tokens.ids], reuse=False)
        for now, then in zip(trace.recording.streams, whole.recording.streams, strict=True):
            assert torch.allclose(now, then, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_step_computes_one_row_and_looking_costs_one_row_of_logits(tiny: Tiny, name: str) -> None:
    model = tiny(name)
    first = model.trace("the cat sat on the mat")
    passes: list[int] = []
    rows: list[int] = []
    hooks = [
        model.parts.blocks[0].attn.register_forward_hook(looking_on(lambda *_: passes.append(1))),
        model.model.get_output_embeddings().register_forward_hook(
            looking_on(lambda _m, args, _out: rows.append(args[0].shape[1]))
        ),
    ]
    try:
        extend(first, [97]).tensor("blocks.1.pattern")
    finally:
        for hook in hooks:
            hook.remove()
    assert len(passes) == 1  # block 0 ran for the new token; looking into block 1 did not run it again
    assert set(rows) == {1}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_keys_and_values_grow_in_place_with_the_bits_of_transformers_own_cache(
    tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prefix, "computing_again", lambda _self: False)  # a pass of one more token has other bits
    model = tiny(name)
    ids = torch.randint(3, 250, (24,), generator=torch.Generator().manual_seed(1)).tolist()
    texts = [ids[:8], ids[:9], ids[:10], ids[:14], ids, [*ids[:12], 77], [*ids[:12], 77, 78], [*ids, 5]]

    def logits() -> list[torch.Tensor]:
        prefixes(model).clear()
        return [record(model, text).recording.logits for text in texts]

    ours = logits()
    if isinstance(kept := prefixes(model).holding([*ids, 5]), Prefix):
        place = kept.cache.layers[0].keys.data_ptr()
        record(model, [*ids, 5, 6])
        longer = prefixes(model).holding([*ids, 5, 6])
        assert longer is not None
        assert longer.cache.layers[0].keys.data_ptr() == place
    monkeypatch.setattr(recording, "roomy_cache", DynamicCache)
    for mine, own in zip(ours, logits(), strict=True):
        assert torch.equal(mine, own)
