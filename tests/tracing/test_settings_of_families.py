"""Settings of families away from the tests' own: what a model obeys is drawn, and what it ignores is not.

Each configuration is changed in one entry, the model is built and run untouched, and every declared operation is compared with that run, row by
row; so are the rules that are only said: the mask's (causal, window) and the series of rotary angles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.families import FAMILIES, tiny_tokenizer
from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import operations as ops
from txpanel.tracing.record import extend, record
from txpanel.tracing.trace import Trace

IDS = [3 + (7 * i) % 250 for i in range(30)]
MORE: dict[str, dict[str, Any]] = {
    "olmo": {**FAMILIES["llama"], "clip_qkv": 1.0},
    "olmoe": {**FAMILIES["llama"], "clip_qkv": 1.0, "num_experts": 4, "num_experts_per_tok": 2},
}
HALF = {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}
YARN = {
    "rope_theta": 10000.0,
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "attention_factor": 1.7,
}
PROPORTIONAL = {"rope_theta": 10000.0, "rope_type": "proportional", "partial_rotary_factor": 0.5}
LINEAR = {"rope_theta": 10000.0, "rope_type": "linear", "factor": 2.0}
OBEYED: list[tuple[str, dict[str, Any], str | None]] = [
    ("mpt", {"attn_config": {"clip_qkv": 1.0}}, None), ("mpt", {"attn_config": {"softmax_scale": 0.2}}, None),
    ("olmo", {}, None), ("olmoe", {}, None),
    ("gemma3_text", {"use_bidirectional_attention": True}, "sdpa"), ("gemma3_text", {"use_bidirectional_attention": True}, "eager"),
    ("llama", {"is_causal": False}, "sdpa"), ("gpt2", {"is_causal": False}, "eager"), ("bloom", {"is_causal": False}, "eager"),
    ("bloom", {"slow_but_exact": True}, None), ("gpt2", {"reorder_and_upcast_attn": True}, "eager"), ("gpt2", {"scale_attn_weights": False}, None),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}, "eager"),
    ("llama", {"rope_parameters": YARN}, None), ("llama", {"rope_parameters": LINEAR}, None), ("llama", {"rope_parameters": PROPORTIONAL}, None),
    ("phi", {"rope_parameters": HALF}, None), ("gpt_neox", {"rope_parameters": PROPORTIONAL}, None),
    ("llama", {"attention_bias": True, "mlp_bias": True}, None),
    ("gemma2", {"attn_logit_softcapping": 2.0, "final_logit_softcapping": None}, "eager"),
    ("granite", {"embedding_multiplier": 7.0, "logits_scaling": 0.3}, None),
    ("cohere", {"logit_scale": 2.5}, None), ("mistral", {"sliding_window": None}, None),
    ("gpt_neox", {"rope_parameters": {**YARN, "partial_rotary_factor": 0.25}}, None), ("llama", {"rope_parameters": {**LINEAR, "rope_type": "dynamic"}}, None),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}, None),
]  # fmt: skip
"""What a family's code reads, so that it must be drawn."""
IGNORED: list[tuple[str, dict[str, Any], str | None]] = [
    ("gemma3_text", {"attn_logit_softcapping": 3.0}, None), ("llama", {"attn_logit_softcapping": 3.0}, None), ("mpt", {"logit_scale": 0.3}, None),
    ("mpt", {"logit_scale": "inv_sqrt_d_model"}, None), ("gpt2", {"logits_scaling": 2.0}, None), ("cohere", {"logits_scaling": 2.0}, None),
    ("llama", {"final_logit_softcapping": 3.0}, None), ("llama", {"rope_parameters": HALF}, None), ("cohere", {"rope_parameters": HALF}, None),
    ("falcon", {"rope_parameters": HALF}, None), ("opt", {"alibi": True}, None), ("llama", {"alibi": True}, None), ("llama", {"sliding_window": 4}, None),
    ("mistral", {"layer_types": ["full_attention"] * 3}, None),
    ("mistral", {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}, None),
    ("deepseek_v3", {"alibi": True, "logit_scale": 0.3}, None), ("llama", {"clip_qkv": 1.0, "residual_multiplier": 0.3, "embedding_multiplier": 3.0}, None),
]  # fmt: skip
"""What only a config says."""


def built(family: str, change: dict[str, Any], attn: str | None = None) -> Any:
    """An untouched model: biases, norms and sinks away from where they start."""
    config = AutoConfig.for_model(family, **{**{**FAMILIES, **MORE}[family], **change})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, **({"attn_implementation": attn} if attn else {})).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 or "bias" in name or "sinks" in name or not bool(parameter.any()):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def false_of(model: Any) -> list[str]:
    """What is said of a model and is not so."""
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([IDS]))[0][0, -1].float()
    trace = record(LanguageModel.wrap(model, tiny_tokenizer(), name="changed"), IDS, reuse=False)
    found = [] if torch.allclose(trace.recording.logits, expected, atol=1e-4) else ["logits of the run"]
    found += [f"check of block {layer}" for layer in range(trace.anatomy.n_layers) if not trace.check(layer).exact]
    return [*found, *operations_off(trace), *rules_off(trace)]


def operations_off(trace: Trace) -> list[str]:
    """Operations that do not give what was recorded, by the size of each row."""
    return [name for name in trace.names() if off(trace, name)]


def off(trace: Trace, name: str) -> bool:
    """Whether a declared operation, given the recorded inputs, makes another tensor than the recorded one."""
    operation = trace.operation(name)
    assert operation is not None
    recorded, again = (
        trace.tensor(name),
        operation.recompute({source: trace.tensor(source) for source in operation.inputs}),
    )
    if recorded.shape != again.shape or not torch.equal(torch.isfinite(recorded), torch.isfinite(again)):
        return True
    one, other = (
        torch.where(torch.isfinite(x), x, 0.0).double().reshape(-1, x.shape[-1] if x.dim() else 1)
        for x in (recorded, again)
    )
    return bool(((one - other).abs().amax(-1) > 1e-3 * one.abs().amax(-1).clamp_min(1e-6)).any())


def rules_off(trace: Trace) -> Iterator[str]:
    """What formulas say of masks and angles, against the recorded ones."""
    query, key = torch.arange(len(IDS))[:, None], torch.arange(len(IDS))[None]
    for block in trace.anatomy.blocks:
        seen = (key <= query) & ((key > query - block.window) if block.window else True)
        if block.causal and not torch.equal(trace.tensor(f"blocks.{block.index}.mask"), seen):
            yield f"the mask's rule of block {block.index}"
        if block.rotary is not None and block.rotary.base:
            angles = block.rotary.base ** -(torch.arange(block.rotary.dims // 2).double() * 2 / block.rotary.dims)
            cos = trace.tensor(f"blocks.{block.index}.rotary_cos").double()
            if not torch.allclose(cos, torch.cos(query.double() * angles), atol=1e-3):
                yield f"the rotary angles of block {block.index}"


@pytest.mark.parametrize(("family", "change", "attn"), [*OBEYED, *IGNORED])
def test_what_a_config_says_is_drawn_as_the_model_obeys_it(
    family: str, change: dict[str, Any], attn: str | None
) -> None:
    assert false_of(built(family, change, attn)) == []


def test_tuples_for_answers_change_nothing_or_are_refused_with_the_models_own_error() -> None:
    """transformers 5.24 runs no family with ``return_dict: false``."""
    model = built("gptj", {"return_dict": False})
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([IDS]))
    except AttributeError as error:
        with pytest.raises(Unsupported, match=re.escape(str(error))):
            record(LanguageModel.wrap(model, tiny_tokenizer(), name="tuples"), IDS)
    else:
        assert false_of(model) == []


def test_a_wrong_limit_a_wrong_cap_and_a_wrong_mask_are_noticed() -> None:
    trace = record(
        LanguageModel.wrap(built("mpt", {"attn_config": {"clip_qkv": 1.0}}), tiny_tokenizer(), name="mpt"), IDS
    )
    operations = trace.graph.operations
    clip = operations["blocks.1.v"]
    assert isinstance(clip, ops.Clip)
    operations["blocks.1.v"] = replace(clip, limit=0.9)
    assert operations_off(trace) == ["blocks.1.v"]
    operations["blocks.1.v"] = clip
    gemma = record(
        LanguageModel.wrap(built("gemma3_text", {"use_bidirectional_attention": True}), tiny_tokenizer(), name="g"), IDS
    )
    with torch.inference_mode():
        gemma.tensor("blocks.0.mask").tril_()
    assert operations_off(gemma)[0] == "blocks.0.attn_proj"


def test_a_clipped_number_says_so() -> None:
    trace = record(LanguageModel.wrap(built("olmoe", {}), tiny_tokenizer(), name="olmoe"), IDS)
    values = trace.tensor("blocks.0.k_unclipped")
    head, token, dim = (int(i) for i in (values.abs() > 1).nonzero()[0])
    found = trace.why("blocks.0.k_pre_rotary", kv_head=head, token=token, dim=dim)
    assert abs(found.value) == 1.0
    assert found.check.ok
    assert "is beyond" in found.terms[0].label


def test_where_tokens_see_later_ones_nothing_of_a_shorter_text_is_used_again() -> None:
    model = LanguageModel.wrap(
        built("gemma3_text", {"use_bidirectional_attention": True}), tiny_tokenizer(), name="both"
    )
    first = record(model, IDS[:-1])
    longer = extend(first, IDS[-1:])
    whole = record(model, IDS, reuse=False)
    assert longer.recording.reused == 0
    assert torch.equal(longer.tensor("blocks.2.resid_post"), whole.tensor("blocks.2.resid_post"))
    assert not torch.allclose(first.tensor("blocks.2.resid_post"), whole.tensor("blocks.2.resid_post")[:-1], atol=1e-2)
    assert "mask" in longer.operation("blocks.0.masked").formula  # type: ignore[union-attr]


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_flex_attention_is_opened_with_the_mask_that_it_uses() -> None:
    assert false_of(built("mistral", {}, "flex_attention")) == []


NOT_TRIED = {
    "initializer_range",
    "init_std",
    "router_jitter_noise",
    "is_encoder_decoder",
    "tie_encoder_decoder",
    "add_cross_attention",
}
"""Entries whose change says nothing of a pass, draws by chance, or makes another kind of model."""


@pytest.mark.sweep
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_switch_and_number_of_a_config(family: str) -> None:
    config = AutoConfig.for_model(family, **FAMILIES[family]).to_dict()
    wrong, tried = {}, 0
    for name, value in sorted(config.items()):
        if (
            name in NOT_TRIED
            or "dropout" in name
            or "pdrop" in name
            or name.startswith("output_")
            or not isinstance(value, (bool, float))
        ):
            continue
        change = {name: (not value) if isinstance(value, bool) else (value * 1.7 or 0.3)}
        try:
            model = built(family, change)
            model(input_ids=torch.tensor([IDS]))
        except Exception:
            continue  # transformers itself cannot build or run it
        tried += 1
        if found := false_of(model):
            wrong[name] = found[:3]
    assert tried > 1
    assert wrong == {}
