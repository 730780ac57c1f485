"""Every family of tests/families.py against the untouched Hugging Face model: logits, streams, patterns, every operation, every term."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.families import FAMILIES, VARIANTS, tiny_hf
from tests.sweeping import apart
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.compare import gap
from txpanel.tracing.explain import place
from txpanel.tracing.passes import last_logits_only
from txpanel.tracing.record import record
from txpanel.tracing.trace import Trace

TEXT = "hello wörld, a b c"
ALL = [*FAMILIES, *VARIANTS]
KINDS = ("gpt2", "gpt_neox", "gptj", "bloom", "falcon", "llama", "mixtral", "gemma3_text", "gpt_oss", "deepseek_v3")
"""One of each kind: positions, norms, places of the branches, experts, how queries and keys are made."""
Tiny = Callable[[str], LanguageModel]


@pytest.fixture(scope="module")
def trace_of(tiny: Tiny) -> Callable[[str], Trace]:
    """One trace per family, shared by the tests of this file."""
    made: dict[str, Trace] = {}

    def get(name: str) -> Trace:
        if name not in made:
            made[name] = record(tiny(name), TEXT, reuse=False)  # whatever other tests ran: rows of one pass
        return made[name]

    return get


def reference(name: str, trace: Trace, **more: Any) -> Any:
    """What the untouched model, built anew from the same seed, gives for the same ids."""
    model = tiny_hf(name, attn=more.pop("attn", None))
    ids = torch.tensor([trace.tokens.ids.tolist()])
    with torch.inference_mode():
        return model(input_ids=ids, **more)


@pytest.mark.parametrize("name", ALL)
def test_logits_are_the_untouched_models(name: str, trace_of: Callable[[str], Trace]) -> None:
    trace = trace_of(name)
    model = tiny_hf(name)
    expected = reference(name, trace, **last_logits_only(model)).logits[0, -1].float()
    # bit for bit where the same single row is unembedded; families without logits_to_keep multiply all rows at once
    assert torch.equal(trace.tensor("logits"), expected) or (trace.tensor("logits") - expected).abs().max() < 1e-5
    assert abs(float(trace.tensor("probs").sum()) - 1) < 1e-5


@pytest.mark.parametrize("name", ALL)
def test_replay_equals_the_checkpoint_bit_for_bit(name: str, trace_of: Callable[[str], Trace]) -> None:
    trace = trace_of(name)
    checks = [trace.check(layer) for layer in range(trace.anatomy.n_layers)]
    assert [(c.exact, c.difference) for c in checks] == [(True, 0.0)] * 3


@pytest.mark.parametrize("name", ALL)
def test_pattern_is_eager_attention(name: str) -> None:
    """Both sides run eager attention, so their streams are the same and only our stages can differ."""
    from tests.families import tiny as build

    trace = build(name, attn="eager").trace(TEXT)
    attentions = reference(name, trace, attn="eager", output_attentions=True).attentions
    assert len(attentions) == trace.anatomy.n_layers
    # Falcon multiplies (q.k + ALiBi) by the scale at once, we each by itself: one rounding more
    tolerance = 2e-6 if name == "falcon-alibi" else 1e-6
    for layer, expected in enumerate(attentions):
        pattern = trace.tensor(f"blocks.{layer}.pattern")
        assert (pattern - expected[0].float()).abs().max() < tolerance, f"block {layer}"
        for head in range(pattern.shape[0]):
            assert torch.allclose(torch.from_numpy(trace.head_map(layer, head)), pattern[head], atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_every_operation_recomputes_what_was_recorded(name: str, trace_of: Callable[[str], Trace]) -> None:
    trace = trace_of(name)
    assert len(trace.operations()) > 60
    for operation in trace.operations():
        recorded = trace.tensor(operation.output)
        again = operation.recompute({source: trace.tensor(source) for source in operation.inputs})
        assert again.shape == recorded.shape, operation.output
        finite = torch.isfinite(recorded)
        assert torch.equal(finite, torch.isfinite(again)), operation.output
        scale = float(recorded[finite].abs().max()) + 1e-9
        assert float((again - recorded)[finite].abs().max()) <= 1e-5 * scale, operation.output
        assert operation.formula, operation.output


@pytest.mark.parametrize("name", [name if name in KINDS else apart(name) for name in ALL])
def test_terms_of_random_cells_add_up(name: str, trace_of: Callable[[str], Trace]) -> None:
    trace, dice = trace_of(name), random.Random(name)
    for operation in trace.operations():
        shape = trace.tensor(operation.output).shape
        for _ in range(3):
            cell = {dim: dice.randrange(size) for dim, size in zip(operation.dims, shape, strict=True)}
            found = trace.why(operation.output, **cell)
            assert found.terms, operation.output
            assert found.check.ok, (operation.output, cell, found.value, found.total)
            for term in dice.sample(found.terms, min(4, len(found.terms))):
                for source in term.sources:  # every operand exists and can be asked for in turn
                    value = trace.value(source.name)
                    place(source.name, trace.dims(source.name), tuple(value.shape), source.index)


@pytest.mark.parametrize("tokens", [1, 2, 4])
@pytest.mark.parametrize("name", ALL)
def test_a_text_of_as_many_tokens_as_there_are_heads(name: str, tokens: int, tiny: Tiny) -> None:
    """Two axes of the same length must not be taken for each other."""
    trace = record(tiny(name), [7, 40, 11, 200][:tokens], reuse=False)
    for name_ in trace.names():
        operation = trace.operation(name_)
        assert operation is not None
        again = operation.recompute({source: trace.tensor(source) for source in operation.inputs})
        assert gap(
            operation, {s: trace.tensor(s) for s in operation.inputs}, again, trace.tensor(name_), torch.float32
        ).ok, name_


@pytest.mark.parametrize("name", ALL)
def test_identities_that_need_no_reference(name: str, trace_of: Callable[[str], Trace]) -> None:
    trace = trace_of(name)
    for layer, block in enumerate(trace.anatomy.blocks):
        t = {
            own: trace.tensor(f"blocks.{layer}.{own}")
            for own in ("resid_pre", "attn_out", "mlp_out", "resid_post", "z", "v", "pattern")
        }
        if block.norm_place != "post" and not block.norm_residual:
            assert torch.allclose(t["resid_pre"] + t["attn_out"] + t["mlp_out"], t["resid_post"], rtol=1e-5, atol=1e-4)
        assert (f"blocks.{layer}.resid_mid" in trace) is not block.parallel
        repeated = t["v"].repeat_interleave(block.group, 0)
        assert torch.allclose(t["pattern"] @ repeated, t["z"], atol=1e-4)
    assert torch.allclose(torch.from_numpy(trace.logits_at(-1).values), trace.tensor("logits"))
    end = trace.unembed(trace.recording.streams[-1][-1:])[0]
    assert torch.allclose(end, trace.tensor("logits"), atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_the_recorder_ran_and_left_nothing_behind(name: str, tiny: Tiny) -> None:
    from txpanel.tracing.record import record
    from txpanel.tracing.replay import replay

    model = tiny(name)
    before = model.model.config._attn_implementation
    trace = record(model, TEXT, reuse=False)
    for layer in range(trace.anatomy.n_layers):
        assert replay(model, layer, trace.recording.streams[layer], trace.recording.calls[layer]).calls == 1
    assert model.model.config._attn_implementation == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.model.modules())


@pytest.mark.parametrize("name", ALL)
def test_causality(name: str, tiny: Tiny) -> None:
    """Changing a token moves nothing before it (a lost mask would)."""
    from txpanel.tracing.record import record

    ids = tiny(name).encode(TEXT)
    first, second = record(tiny(name), ids, reuse=False), record(tiny(name), [*ids[:9], 77, *ids[10:]], reuse=False)
    for a, b in zip(first.recording.streams, second.recording.streams, strict=True):
        assert torch.allclose(a[:9], b[:9], atol=1e-4)
        assert not torch.allclose(a[9:], b[9:], atol=1e-2)


@pytest.mark.parametrize("name", ALL)
def test_growing_token_by_token_gives_the_rows_of_one_pass(name: str, tiny: Tiny) -> None:
    from txpanel.tracing.record import extend, record

    model = tiny(name)
    ids = model.encode(TEXT)
    grown = record(model, ids[:6], reuse=False)
    for token in ids[6:]:
        grown = extend(grown, [token])
        assert grown.recording.reused == len(grown.tokens) - 1
    whole = record(model, ids, reuse=False)
    assert whole.recording.reused == 0
    assert torch.allclose(grown.tensor("logits"), whole.tensor("logits"), atol=1e-3, rtol=1e-4)
    for layer in range(3):
        assert torch.allclose(
            grown.tensor(f"blocks.{layer}.pattern"), whole.tensor(f"blocks.{layer}.pattern"), atol=1e-4
        )
        assert grown.check(layer).difference < 1e-3
        assert "earlier pass" in grown.check(layer).note
