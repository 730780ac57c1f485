"""Wrong answers must fail: were these mistakes made, the identities of test_families would not hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from txpanel.models.anatomy import Rotary
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.capture import allowed
from txpanel.tracing.trace import Trace

Tiny = Callable[[str], LanguageModel]
TEXT = "hello wörld, a b c"


def differs(trace: Trace, name: str, wrong: object) -> bool:
    """Whether a changed operation misses the recorded value by more than rounding."""
    inputs = {source: trace.tensor(source) for source in wrong.inputs}  # type: ignore[attr-defined]
    recorded = trace.tensor(name)
    finite = torch.isfinite(recorded)
    return float((wrong.recompute(inputs) - recorded)[finite].abs().max()) > 1e-3  # type: ignore[attr-defined]


def test_tiled_instead_of_repeated_heads(tiny: Tiny) -> None:
    trace = tiny("llama").trace(TEXT)
    q, k, scores = (trace.tensor(f"blocks.1.{own}") for own in ("q", "k", "scores"))
    tiled = q @ k.repeat(2, 1, 1).transpose(-1, -2) * trace.anatomy.blocks[1].scaling
    assert (tiled - scores).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("name", "tensor", "change"),
    [
        ("llama", "scores", {"scaling": 0.5}),
        ("gemma2", "scores_capped", {"cap": 50.0}),
        ("granite", "attn_out", {"factor": 1.0}),
        ("opt", "q", {"factor": 1.0}),
        ("gpt_oss", "mlp_post", {"alpha": 1.0}),
        ("llama", "q", {"rotary": Rotary(8, 10000.0, "interleaved")}),
        ("gptj", "q", {"rotary": Rotary(4, 10000.0, "half")}),
        ("gpt_neox", "k", {"rotary": Rotary(4, 10000.0, "half")}),
        ("deepseek_v3", "q", {"rotary": Rotary(8, 10000.0, "half", 6)}),
    ],
)
def test_a_wrong_constant_is_seen(name: str, tensor: str, change: dict[str, object], tiny: Tiny) -> None:
    trace = tiny(name).trace(TEXT)
    operation = trace.operation(f"blocks.1.{tensor}")
    assert operation is not None
    assert differs(trace, operation.output, dataclasses.replace(operation, **change))


def test_a_norm_without_its_mean_is_seen(tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(TEXT)
    operation = trace.operation("blocks.1.ln1")
    assert operation is not None
    assert len(operation.inputs) == 3
    assert differs(trace, operation.output, dataclasses.replace(operation, inputs=operation.inputs[:2]))


def test_a_swapped_packing_is_seen(tiny: Tiny) -> None:
    from txpanel.models.parts import packed_rows

    trace = tiny("gpt_neox").trace(TEXT)
    operation = trace.operation("blocks.1.v")
    assert operation is not None
    wrong = dataclasses.replace(operation.map, rows=packed_rows("thirds", 2, 4, 4, 8))  # type: ignore[attr-defined]
    assert differs(trace, operation.output, dataclasses.replace(operation, map=wrong))


def test_a_forgotten_sink_is_seen(tiny: Tiny) -> None:
    trace = tiny("gpt_oss").trace(TEXT)
    rows = trace.tensor("blocks.1.pattern").sum(-1)
    assert float(rows.min()) < 0.9999  # rows with a sink add up to less than 1
    operation = trace.operation("blocks.1.pattern.sum")
    assert operation is not None
    assert differs(trace, operation.output, dataclasses.replace(operation, inputs=operation.inputs[:2]))


def test_a_post_norm_model_read_as_pre_norm_is_seen(tiny: Tiny) -> None:
    trace = tiny("opt-350m").trace(TEXT)
    pre = trace.tensor("blocks.1.resid_pre") + trace.tensor("blocks.1.attn_out") + trace.tensor("blocks.1.mlp_out")
    assert (pre - trace.tensor("blocks.1.resid_post")).abs().max() > 1e-1


@pytest.mark.parametrize("name", ["mistral", "gemma3_text", "gpt_oss", "gpt_neo"])
def test_the_window_is_seen(name: str, tiny: Tiny) -> None:
    trace = tiny(name).trace(TEXT)
    layer = next(b.index for b in trace.anatomy.blocks if b.window)
    look = trace.tensor(f"blocks.{layer}.mask")
    n = len(trace.tokens)
    ages = torch.arange(n)[:, None] - torch.arange(n)
    assert trace.anatomy.blocks[layer].window == 4
    assert torch.equal(look, (ages >= 0) & (ages < 4))


def test_masks_in_all_their_forms_mean_the_same() -> None:
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    low = torch.finfo(torch.float32).min
    forms = [
        None,
        causal[None, None],
        torch.where(causal, 0.0, low)[None, None],
        torch.where(causal, 0.0, -torch.inf)[None, None],
    ]
    for form in forms:
        look, bias = allowed(form, 4, 4, "look", None)
        assert torch.equal(look, causal)
        assert bias is None
    assert torch.equal(allowed(~causal[None, None], 4, 4, "hide", None)[0], causal)
    assert torch.equal(
        allowed(None, 1, 4, "look", None)[0], torch.ones(1, 4, dtype=torch.bool)
    )  # one new query sees all keys
    folded = torch.where(causal, torch.arange(4.0).expand(4, 4), low)[None, None]
    look, bias = allowed(folded, 4, 4, "look", None)
    assert torch.equal(look, causal)
    assert bias is not None
    assert torch.equal(bias[0][3], torch.arange(4.0))
