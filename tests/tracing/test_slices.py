"""What one number of attention costs: a row of one head, whatever the length of the text. Counted in bytes, not in seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from txpanel.models.fingerprint import Samples
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import lens, slices
from txpanel.tracing.prefix import worth_it
from txpanel.tracing.record import record
from txpanel.tracing.rows import Rows
from txpanel.tracing.trace import Trace
from txpanel.views.why.data import card, fed_index

Tiny = Callable[[str], LanguageModel]
TOKENS = 120
NAMES = ("scores", "scores_capped", "scores_biased", "masked", "pattern.max", "pattern.sum", "pattern", "z", "result", "z.norm", "result.norm")  # fmt: skip

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Largest(TorchDispatchMode):
    """The largest storage that is made inside, in bytes."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(made):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in given:
                self.nbytes = max(self.nbytes, x.untyped_storage().nbytes())
        return made


def run(model: LanguageModel, tokens: int = TOKENS) -> Trace:
    return record(model, [3 + 7 * i % 250 for i in range(tokens)], reuse=False)


def cell(trace: Trace, name: str) -> dict[str, int]:
    known = {"head": 3, "query": 57, "token": 57, "key": 11, "dim": 2, "feature": 5}
    return {dim: known[dim] for dim in trace.dims(name)}


@pytest.mark.parametrize("name", ["llama", "gemma2", "falcon-alibi", "gpt_oss", "gpt2", "deepseek_v3", "gptj"])
def test_one_number_of_attention_is_one_row_and_the_number_of_the_whole_map(
    tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Samples, "same", lambda _self: True)  # the look at the weights, whose size no text changes
    model = tiny(name)
    trace, whole = run(model), run(model)
    block = trace.anatomy.blocks[1]
    row = 4 * TOKENS * block.group
    vector = 4 * max(block.head_dim, trace.anatomy.width)  # what is not attention: a token's own vectors
    for leaf in ("q", "k", "v", "mask", "sinks", "alibi"):
        if f"blocks.1.{leaf}" in trace.graph.dims:
            trace.tensor(f"blocks.1.{leaf}")
    for own in [*NAMES, "attn_out" if block.residual_multiplier == 1.0 and block.norm_place == "pre" else "attn_proj"]:
        full = f"blocks.1.{own}"
        if full not in trace:
            continue
        with Largest() as made:
            found = trace.why(full, **cell(trace, full))
            card(trace, full, found.index)
            [fed_index(trace, fed, found.index, {}) for fed in found.feeds if trace.dims(fed)[0] == "head"]
        assert made.nbytes <= max(row, vector), own
        assert found.check.ok, own
        expected = whole[full].values[tuple(found.index.values())]
        assert found.value == pytest.approx(float(expected), rel=1e-5, abs=1e-6), own
        again = whole.why(full, **found.index)  # where the whole map is there: the same operands
        for one, other in zip(found.terms[:3], again.terms[:3], strict=True):
            assert one.sources == other.sources, own
            assert NUMBER.sub("#", one.label) == NUMBER.sub("#", other.label), own
            numbers = [
                float(n) for n in NUMBER.findall(other.label)
            ]  # added up in another order: the last digit may differ
            assert [float(n) for n in NUMBER.findall(one.label)] == pytest.approx(numbers, rel=2e-5), own
        assert whole.shape(full) == trace.shape(full) == whole[full].shape


@pytest.mark.parametrize("name", ["llama", "gemma2", "falcon-alibi", "gpt_oss"])
def test_whole_steps_of_a_long_text_are_made_in_slices_and_are_the_same(
    tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(name)
    expected, trace = run(model), run(model)
    whole = {own: expected.tensor(f"blocks.1.{own}") for own in NAMES if f"blocks.1.{own}" in expected}
    for tensor in ("q", "k", "v", "mask"):
        trace.tensor(f"blocks.1.{tensor}")
    monkeypatch.setattr(slices, "WHOLE", 100)
    monkeypatch.setattr(slices, "AT_ONCE", 5 * TOKENS)
    for own, value in whole.items():
        full = f"blocks.1.{own}"
        if trace.dims(full) == ("head", "query", "key"):
            assert torch.allclose(torch.from_numpy(trace.head_map(1, 3, own)), value[3], atol=1e-5, rtol=1e-5), own
        assert torch.allclose(trace.rows(full, slice(10, 30)), value[:, 10:30], atol=1e-5, rtol=1e-5), own
        assert torch.allclose(trace.rows(full, slice(10, 30), 2), value[2, 10:30], atol=1e-5, rtol=1e-5), own
    with Largest() as made:
        z = trace.tensor("blocks.1.z")
    assert torch.allclose(z, whole["z"], atol=1e-5, rtol=1e-5)
    assert made.nbytes <= 4 * max(z.numel(), 5 * TOKENS)  # no map, and never more rows of one than said


def test_logits_of_many_positions_are_never_there_together(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = run(tiny("llama"))
    expected = trace.unembed(trace.recording.streams[-1])
    vocab = trace.anatomy.vocab
    monkeypatch.setattr(lens, "LOGITS", 4 * vocab)
    with Largest() as made:
        bits = trace.surprisal()
    assert made.nbytes <= 4 * 4 * vocab
    own = torch.log_softmax(expected.double(), -1)[torch.arange(TOKENS - 1), torch.from_numpy(trace.tokens.ids[1:])]
    assert bits[1:] == pytest.approx((-own / torch.log(torch.tensor(2.0).double())).numpy(), rel=1e-5)
    with Largest() as made:
        again = trace.unembed(trace.recording.streams[-1])
    assert made.nbytes == again.untyped_storage().nbytes()
    assert torch.allclose(again, expected, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 3, 7, 40, 2048])
def test_a_buffer_is_never_more_than_a_quarter_larger_than_what_it_holds(tokens: int) -> None:
    old, new = [torch.zeros(tokens, 2)], [torch.ones(1, 2)]
    rows, views = Rows.grown(old, None, new)
    copied, made = 0, {views[0].untyped_storage().data_ptr()}
    while len(views[0]) < 3 * tokens + 50:
        assert views[0].untyped_storage().nbytes() <= 1.25 * views[0].nbytes
        rows, views = Rows.grown(views, rows, new)
        if views[0].untyped_storage().data_ptr() not in made:
            made.add(views[0].untyped_storage().data_ptr())
            copied += len(views[0])
    assert copied <= 6 * len(views[0])  # the text grew one by one, and each row was copied a few times


def test_a_few_shared_tokens_are_not_worth_a_mask_of_ones_own() -> None:
    assert worth_it(1, 20)
    assert worth_it(2047, 2048)
    assert worth_it(1024, 2048)
    assert not worth_it(1, 2048)
    assert not worth_it(256, 2048)
    assert not worth_it(0, 20)


def test_blocks_in_which_tokens_see_those_before_them_share_one_mask(tiny: Tiny) -> None:
    trace = run(tiny("llama"), TOKENS)
    masks = [trace.tensor(f"blocks.{layer}.mask") for layer in range(3)]
    assert len({mask.untyped_storage().data_ptr() for mask in masks}) == 1
    assert torch.equal(masks[0], torch.arange(TOKENS)[:, None] >= torch.arange(TOKENS))
    window = run(tiny("mistral"), TOKENS).tensor("blocks.1.mask")  # 4 tokens: handed over by the model, nobody else's
    assert not torch.equal(window, masks[0])
    assert torch.equal(window, masks[0].triu(-3))
