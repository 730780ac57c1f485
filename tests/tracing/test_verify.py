"""Every model is compared with its own run when it is wrapped: what does not agree is closed, and only that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModelForCausalLM
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama import modeling_llama

from tests.families import FAMILIES, GQA, tiny_hf, tiny_tokenizer
from txpanel.models.anatomy import Anatomy, Experts, Rotary
from txpanel.models.inspect_model import inspect_model
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import ModelParts

Mistake = Callable[[Anatomy, ModelParts], Anatomy]


def other(family: str) -> LanguageModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**GQA, "head_dim": 8})
    return LanguageModel.wrap(AutoModelForCausalLM.from_config(config), tiny_tokenizer())


def test_norms_in_fewer_bits_than_the_rest_are_open() -> None:
    """Their module rounds what it gives to its own type: that is no other epsilon."""
    module = tiny_hf("llama")
    module.model.norm.to(torch.bfloat16)
    module.model.layers[1].input_layernorm.to(torch.bfloat16)
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert not model.report().opaque
    trace = model.trace("hello abc")
    with torch.inference_mode():
        own = module(torch.from_numpy(trace.tokens.ids)[None]).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), own, atol=1e-4)
    assert trace.why("logits", vocab=5).check.ok


@pytest.mark.parametrize("family", ["gemma", "olmo", "olmo3", "nemotron", "cohere2", "helium", "seed_oss"])
def test_an_unknown_family_with_a_known_structure_opens(family: str) -> None:
    model = other(family)
    assert family not in FAMILIES
    assert not model.report().opaque
    assert max(part.difference or 0.0 for part in model.report()) < 1e-5
    trace = model.trace("hello abc")
    assert all(trace.check(layer).exact for layer in range(3))
    assert trace.why("blocks.1.mlp_out", token=2, feature=3).check.ok


@pytest.mark.parametrize("family", ["bitnet", "diffllama"])
def test_what_an_unknown_family_computes_otherwise_is_closed(family: str) -> None:
    model = other(family)
    closed = model.report().opaque
    assert closed
    assert all(part.reason for part in closed)
    trace = model.trace("hello abc")
    for layer in range(3):
        assert trace.check(layer).exact
    for name in trace.names():
        assert trace.tensor(name).isfinite().any()


# -- wrong answers: one mistake in what is said of block 1 closes that part, and nothing else -----------------------------


def block(**change: Any) -> Mistake:
    def make(anatomy: Anatomy, _parts: ModelParts) -> Anatomy:
        blocks = list(anatomy.blocks)
        blocks[1] = replace(blocks[1], **change)
        return replace(anatomy, blocks=tuple(blocks))

    return make


def epsilon(norm: str) -> Mistake:
    def make(anatomy: Anatomy, parts: ModelParts) -> Anatomy:
        return block(norm_eps={**anatomy.blocks[1].norm_eps, norm: 3e-6})(anatomy, parts)

    return make


def swapped(one: str, other: str) -> Mistake:
    def make(anatomy: Anatomy, parts: ModelParts) -> Anatomy:
        maps = parts.blocks[1].maps
        maps[one], maps[other] = maps[other], maps[one]
        return anatomy

    return make


def whole(**change: Any) -> Mistake:
    return lambda anatomy, _parts: replace(anatomy, **change)


MISTAKES: dict[str, tuple[str, Mistake, list[str]]] = {
    "a soft-cap": ("gemma2", block(softcap=6.0), ["blocks.1.mixer"]),
    "no soft-cap": ("gemma2", block(softcap=None), ["blocks.1.mixer"]),
    "a scale": ("llama", block(scaling=0.36), ["blocks.1.mixer"]),
    "no norm of queries": ("qwen3", block(qk_norm=None), ["blocks.1.mixer"]),
    "swapped keys and values": ("llama", swapped("k", "v"), ["blocks.1.mixer"]),
    "swapped gate and up": ("llama", swapped("gate", "up"), ["blocks.1.mlp"]),
    "a router's rule": ("mixtral", block(experts=Experts(4, 2, 0, "softmax-topk")), ["blocks.1.mlp"]),
    "how many experts": ("mixtral", block(experts=Experts(4, 1, 0, "softmax-topk-norm")), ["blocks.1.mlp"]),
    "an epsilon": ("llama", epsilon("ln1"), ["blocks.1.ln1"]),
    "the other epsilon": ("gpt2", epsilon("ln2"), ["blocks.1.ln2"]),
    "the epsilon of a norm after attention": ("olmo2", epsilon("attn_norm"), ["blocks.1.attn_norm"]),
    "a norm's kind": ("llama", block(norm_kind="LayerNorm"), ["blocks.1.ln1", "blocks.1.ln2"]),
    "a residual's factor": ("granite", block(residual_multiplier=0.8), ["blocks.1.block"]),
    "where the norms stand": ("opt-350m", block(norm_place="pre"), ["blocks.1.block"]),
    "a token's factor": ("gemma2", whole(embed_scale=5.0), ["embed"]),
    "the logits' factor": ("cohere", whole(logit_scale=0.4), ["output"]),
    "the logits' soft-cap": ("gemma2", whole(logit_softcap=9.0), ["output"]),
    "a final epsilon": ("llama", whole(norm_eps={"ln_final": 3e-6}), ["output"]),
}


def opened(module: Any, monkeypatch: pytest.MonkeyPatch, mistake: Mistake | None = None) -> LanguageModel:
    """Wrapped, with a mistake in what reading its modules has found."""

    def read(*given: Any) -> tuple[Anatomy, ModelParts]:
        anatomy, parts = inspect_model(*given)
        return (mistake(anatomy, parts) if mistake is not None else anatomy), parts

    monkeypatch.setattr("txpanel.models.language_model.inspect_model", read)
    return LanguageModel.wrap(module, tiny_tokenizer())


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_closes_its_part_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, mistake, parts = MISTAKES[name]
    model = opened(tiny_hf(family), monkeypatch, mistake)
    assert [part.name for part in model.report().opaque] == parts, str(model.report())
    trace = model.trace("hello abc")
    with torch.inference_mode():
        expected = tiny_hf(family)(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), expected, atol=1e-4)
    assert all(trace.check(layer).exact for layer in range(3))
    for made in trace.names():
        cell = dict.fromkeys(trace.dims(made), 0)
        assert trace.why(made, **cell).check.ok, made


@pytest.mark.parametrize("rotary", [Rotary(8, 10000.0, "interleaved"), Rotary(4, 10000.0), None])
def test_a_rotation_that_was_read_wrongly_is_read_anew(rotary: Rotary | None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened(tiny_hf("llama"), monkeypatch, block(rotary=rotary))
    found = model.anatomy.blocks[1].rotary
    if rotary is None:  # nothing says that there is one: no reading to take instead
        assert [part.name for part in model.report().opaque] == ["blocks.1.mixer"]
        return
    assert found is not None
    assert (found.dims, found.layout) == (8, "half")
    assert not model.report().opaque
    assert all(part.difference is not None and part.difference < 1e-4 for part in model.report()), str(model.report())


def test_a_base_or_a_window_that_is_not_the_model_s_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened(tiny_hf("llama"), monkeypatch, block(rotary=Rotary(8, 20000.0)))
    assert [b.rotary.base for b in model.anatomy.blocks if b.rotary] == [10000.0, None, 10000.0]
    model = opened(tiny_hf("mistral"), monkeypatch, block(window=7))
    assert [b.window for b in model.anatomy.blocks] == [4, 4, 4]
    model = opened(tiny_hf("llama"), monkeypatch, block(window=5))
    assert [b.window for b in model.anatomy.blocks] == [None, None, None]
    assert not model.report().opaque


def test_an_attention_that_ignores_the_mask_in_one_row_is_closed() -> None:
    def careless(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any) -> Any:
        out, weights = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, mask, **more)
        if module.layer_idx == 1:
            group = query.shape[1] // key.shape[1]
            every = (
                query[:, :, 3:4] @ key.repeat_interleave(group, 1).transpose(-1, -2) * more["scaling"]
            )  # also later keys
            out[:, 3] = (every.softmax(-1) @ value.repeat_interleave(group, 1))[:, :, 0]
        return out, weights

    AttentionInterface.register("careless", careless)
    AttentionMaskInterface.register("careless", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    module = tiny_hf("llama")
    module.config._attn_implementation = "careless"
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert [part.name for part in model.report().opaque] == ["blocks.1.mixer"]


def test_what_differs_at_far_positions_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = modeling_llama.apply_rotary_pos_emb

    def near(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *more: Any) -> Any:
        return turn(q, k, cos, sin, *more) if float(cos[0, 0].min()) > 0.999 else (q, k)  # only a text that begins at 0

    assert not LanguageModel.wrap(tiny_hf("llama"), tiny_tokenizer()).report().opaque
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", near)
    closed = LanguageModel.wrap(tiny_hf("llama"), tiny_tokenizer()).report().opaque
    assert [part.name for part in closed] == [f"blocks.{layer}.mixer" for layer in range(3)]


def test_an_expert_that_no_token_chose_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_hf("mixtral")
    experts, router = module.model.layers[1].mlp.experts, module.model.layers[1].mlp.gate
    own = experts.forward

    def odd(x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        return own(x, index, weights) + ((index == 3) * weights).sum(-1, keepdim=True) * x  # type: ignore[no-any-return]

    monkeypatch.setattr(experts, "forward", odd)
    with torch.no_grad():
        router.weight[3] = 0.0  # a logit of 0 among three that are large: seldom among the best two
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert [part.name for part in model.report().opaque] == ["blocks.1.mlp"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["llama", "gemma2", "mixtral", "gpt2", "deepseek_v3"])
def test_half_precision_is_open_and_a_mistake_is_seen(
    family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not opened(tiny_hf(family, dtype=dtype), monkeypatch).report().opaque
    scale = tiny_scale(family)
    closed = opened(tiny_hf(family, dtype=dtype), monkeypatch, block(scaling=scale * 1.5)).report().opaque
    assert [part.name for part in closed] == ["blocks.1.mixer"]


def tiny_scale(family: str) -> float:
    return inspect_model(tiny_hf(family))[0].blocks[1].scaling


def test_an_embedding_in_fewer_bits_does_not_widen_what_the_rest_may_differ_by() -> None:
    module = tiny_hf("llama")
    module.get_input_embeddings().to(torch.bfloat16)
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert model.dtype == torch.float32
    assert model.trace("hello abc").provenance["dtype"] == "float32"
