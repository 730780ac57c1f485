"""Adapters of peft: every number with them, without them, and after a switch, against peft's own run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PromptTuningConfig, get_peft_model, inject_adapter_in_model

from tests.families import tiny_hf, tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from tests.sweeping import first
from txpanel.errors import ModelNotFound, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.variants import AdapterVariants
from txpanel.tracing import open_trace
from txpanel.tracing.trace import Trace

pytestmark = PEFT_WARNS
TEXT = "hello wörld, a b c"
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA: dict[str, Any] = {"r": 3, "lora_alpha": 12, "init_lora_weights": False, "task_type": "CAUSAL_LM"}
GPT2 = {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}


def stirred(peft_model: Any, seed: int = 1) -> Any:
    """What training changes is no longer where it starts (B at 0, DoRA's magnitude at the norm)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in peft_model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return peft_model.eval()


def with_lora(family: str = "llama", **more: Any) -> Any:
    return stirred(get_peft_model(tiny_hf(family), LoraConfig(**{**LORA, "target_modules": LLAMA, **more})))


def with_ia3(family: str, inputs: list[str], **more: Any) -> Any:
    config = IA3Config(feedforward_modules=inputs, init_ia3_weights=False, task_type="CAUSAL_LM", **more)
    return stirred(get_peft_model(tiny_hf(family), config))


KINDS: dict[str, Callable[[], Any]] = {
    "lora": with_lora,
    "lora on the unembedding": lambda: with_lora(target_modules=["v_proj", "lm_head"]),
    "lora in one weight": lambda: with_lora("gpt2", **GPT2),
    "lora, fused gate": lambda: with_lora("phi3", target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    "lora, latent attention": lambda: with_lora(
        "deepseek-dense", target_modules=["q_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]
    ),
    "rank-stable lora with bias": lambda: with_lora("llama-tied-bias", use_rslora=True, lora_bias=True),
    "dora": lambda: with_lora("llama-tied-bias", use_dora=True),
    "dora in one weight": lambda: with_lora("gpt2", use_dora=True, **GPT2),
    "ia3": lambda: with_ia3("llama-tied-bias", ["down_proj", "o_proj"], target_modules=LLAMA),
    "ia3 in one weight": lambda: with_ia3(
        "gpt2", ["mlp.c_proj"], target_modules=["c_attn", "mlp.c_proj"], fan_in_fan_out=True
    ),
    "copies of modules": lambda: with_lora(modules_to_save=["lm_head", "embed_tokens", "input_layernorm", "up_proj"],
                                           target_modules=["q_proj"]),
}  # fmt: skip


def wrapped(peft_model: Any) -> LanguageModel:
    return LanguageModel.wrap(peft_model, tiny_tokenizer())


def own_logits(module: Any, trace: Trace) -> torch.Tensor:
    with torch.inference_mode():
        return module(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1].float()


def wrong(trace: Trace, layers: tuple[int, ...] = (0, 2), cells: int = 3) -> list[str]:
    """Names of tensors whose operation, or sum of terms, does not give the recorded numbers."""
    found, generator = [], torch.Generator().manual_seed(0)
    names = [*itertools.chain.from_iterable(trace.names(layer) for layer in layers), "logits"]
    for name in names:
        operation, recorded = trace.operation(name), trace.tensor(name)
        assert operation is not None
        again = operation.recompute({source: trace.tensor(source) for source in operation.inputs})
        finite = torch.isfinite(recorded)
        if not float((again - recorded)[finite].abs().max()) <= 1e-5 * float(recorded[finite].abs().max()):
            found.append(name)
            continue
        for flat in torch.randint(recorded.numel(), (cells,), generator=generator).tolist():
            cell = [int(i) for i in torch.unravel_index(torch.tensor(flat), recorded.shape)]
            if not trace.why(name, **dict(zip(operation.dims, cell, strict=True))).check.ok:
                found.append(name)
    return found


@pytest.mark.parametrize("kind", first(4, KINDS))
def test_every_number_with_an_adapter_is_peft_s_own(kind: str) -> None:
    module = KINDS[kind]()
    trace = wrapped(module).trace(TEXT)
    assert torch.allclose(trace.tensor("logits"), own_logits(module, trace), atol=1e-5)
    assert [trace.check(layer).exact for layer in range(3)] == [True] * 3
    assert wrong(trace) == []
    assert trace.model is not None
    assert not trace.model.report().opaque
    assert trace.provenance["adapters"] == "default"


def test_a_projection_is_base_terms_and_one_term_for_each_rank() -> None:
    module = with_lora()
    trace = wrapped(module).trace(TEXT)
    place = {"kv_head": 1, "token": 4, "dim": 3}
    found = trace.why("blocks.1.v", **place)
    layer, x, out = (
        module.get_submodule("base_model.model.model.layers.1.self_attn.v_proj"),
        trace.tensor("blocks.1.ln1")[4],
        8 + 3,
    )
    base = [term for term in found.terms if term.sources[0].name == "blocks.1.ln1"]
    adapter = [term for term in found.terms if term.sources[0].name == "blocks.1.v_lora_default"]
    assert (len(base), len(adapter), len(found.terms)) == (32, 3, 35)
    with torch.inference_mode():
        product, up = layer.lora_A["default"](x), layer.lora_B["default"].weight.detach()
        assert sum(term.value for term in base) == pytest.approx(float(layer.base_layer(x)[out]), rel=1e-5)
        for term in adapter:
            rank = term.sources[0].index["rank"]
            assert term.value == pytest.approx(4.0 * float(up[out, rank]) * float(product[rank]), rel=1e-5)
    # sources are cells of the module that was handed over, and can be asked on
    for source in (*base[0].sources[1:], *adapter[0].sources):
        value = trace.why(source.name, **source.index).value
        assert value == pytest.approx(float(trace.value(source.name)[tuple(source.index.values())]))
    assert float(
        module.get_parameter(adapter[0].sources[1].name).detach()[out, adapter[0].sources[1].index["column"]]
    ) == pytest.approx(adapter[0].factors[1])
    assert trace.why("blocks.1.v_lora_default", token=4, rank=2).check.ok
    assert r"4 \sum_{r=1}^{3} (A x)_r" in found.formula


def test_what_dora_multiplies_with_is_a_tensor_of_its_own() -> None:
    module = with_lora("gpt2", use_dora=True, **GPT2)
    trace = wrapped(module).trace(TEXT)
    layer = module.get_submodule("base_model.model.transformer.h.1.attn.c_attn")
    with torch.inference_mode():
        whole = layer.base_layer.weight.T + 4.0 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        expected = layer.lora_magnitude_vector["default"].weight / whole.norm(dim=1)
    assert torch.allclose(trace.tensor("blocks.1.k_dora_default"), expected[32:64], rtol=1e-5)
    assert trace.why("blocks.1.k_dora_default", row=5).terms[0].sources[0].index == {"row": 37}
    term = trace.why("blocks.1.k", kv_head=0, token=2, dim=5).terms[0]
    product = 1.0
    for factor in term.factors:
        product *= factor
    assert len(term.sources) == 3
    assert term.value == pytest.approx(product if term.sources[0].name.endswith("ln1") else 4.0 * product, rel=1e-5)


def test_a_wrong_scale_is_noticed() -> None:
    """The comparison of these tests is worth something: another scale, or an adapter that is left out, does not pass it."""
    for change in ({"scale": 4.1}, None):
        model = wrapped(with_lora())
        variant = model.now()
        maps = variant.parts.blocks[0].maps
        updates = tuple(replace(update, **change) for update in maps["v"].updates) if change else ()
        maps["v"] = replace(maps["v"], updates=updates)
        if not change:
            object.__setattr__(variant.anatomy.blocks[0], "adapters", {**variant.anatomy.blocks[0].adapters, "v": ()})
        assert wrong(variant.trace(TEXT), (0,)) == ["blocks.0.v"]


def test_several_adapters_at_once_in_their_order() -> None:
    module = with_lora()
    module.add_adapter(
        "two words", LoraConfig(**{**LORA, "r": 2, "use_dora": True, "target_modules": ["q_proj", "o_proj"]})
    )
    module.add_adapter("late", LoraConfig(**{**LORA, "r": 5, "target_modules": ["q_proj"]}))
    module.base_model.set_adapter(["default", "two words", "late"])
    trace = wrapped(stirred(module)).trace(TEXT)
    assert wrong(trace, (0,)) == []
    assert trace.provenance["adapters"] == "default, two words, late"
    assert torch.allclose(trace.tensor("logits"), own_logits(module, trace), atol=1e-5)
    assert {
        "blocks.0.q_lora_default",
        "blocks.0.q_lora_two_words",
        "blocks.0.q_dora_two_words",
        "blocks.0.q_lora_late",
    } <= set(trace.names(0))


def test_traces_with_and_without_an_adapter_stand_side_by_side() -> None:
    module = with_lora()
    plain = LanguageModel.wrap(tiny_hf("llama"), tiny_tokenizer()).trace(TEXT)
    model = wrapped(module)
    on = model.trace(TEXT)
    with module.disable_adapter():
        off = model.trace(TEXT)
    # looked at after the switch: each block runs again as it ran then
    assert torch.equal(off.tensor("blocks.1.v"), plain.tensor("blocks.1.v"))
    assert not torch.allclose(on.tensor("blocks.1.v"), plain.tensor("blocks.1.v"), atol=1e-3)
    assert wrong(on, (1,)) == wrong(off, (1,)) == []
    assert (on.check(1).exact, off.check(1).exact) == (True, True)
    assert off.names(1) == plain.names(1)
    assert (on.provenance["adapters"], off.provenance["adapters"], off.provenance["adapters_off"]) == (
        "default",
        "none",
        "default",
    )
    assert "adapters" not in plain.provenance
    # and the module is as its owner left it
    layers = [m for m in module.modules() if hasattr(m, "lora_A")]
    assert all(not m.disable_adapters and m.active_adapters == ["default"] for m in layers)


def test_a_chosen_adapter_is_on_whatever_is_set() -> None:
    module = with_lora()
    module.add_adapter("other", LoraConfig(**{**LORA, "target_modules": ["q_proj"]}))
    stirred(module)
    model = wrapped(module)
    assert model.with_adapters().trace(TEXT).provenance["adapters"] == "none"
    other = model.with_adapters("other")
    assert other.with_adapters("default", "other").trace(TEXT).provenance["adapters"] == "default, other"
    trace = other.trace(TEXT)
    module.set_adapter("other")
    assert torch.allclose(trace.tensor("logits"), own_logits(module, trace), atol=1e-5)
    assert other.with_adapters("other") is other
    with pytest.raises(ModelNotFound, match=r"no adapter “third”. It has: default, other"):
        model.with_adapters("third")


def test_of_threads_that_want_the_same_adapters_one_makes_the_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made, start = wrapped(with_lora()), list[int](), threading.Barrier(4)
    make = AdapterVariants._made

    def seen(*args: Any) -> LanguageModel:
        made.append(threading.get_ident())
        return make(*args)

    def ask(_number: int) -> LanguageModel:
        start.wait()
        return model.with_adapters()

    monkeypatch.setattr(AdapterVariants, "_made", seen)
    with ThreadPoolExecutor(4) as threads:
        variants = list(threads.map(ask, range(4)))
    assert len(made) == 1
    assert all(variant is variants[0] for variant in variants)


def test_a_run_that_grows_goes_on_with_its_own_adapters() -> None:
    from txpanel.tracing.record import extend

    module = with_lora()
    model = wrapped(module)
    trace = model.trace(TEXT)
    with module.disable_adapter():
        longer = extend(trace, [70])
    assert longer.recording.reused == len(trace.tokens)
    assert torch.allclose(longer.tensor("logits"), own_logits(module, longer), atol=1e-5)


def test_merged_adapters_are_plain_weights() -> None:
    module = with_lora()
    model = wrapped(module)
    before = model.trace(TEXT)
    expected = before.tensor("logits")
    module.merge_adapter()
    merged = model.trace(TEXT)
    assert "blocks.0.q_lora_default" not in merged.names(0)
    assert wrong(merged, (0,)) == []
    assert merged.provenance["adapters_merged"] == "default"
    assert torch.allclose(merged.tensor("logits"), expected, atol=1e-3)
    with pytest.raises(Unsupported, match="merged into the weights, or unmerged, since this text was run"):
        before.tensor("blocks.2.v")
    with pytest.raises(Unsupported, match="cannot be switched"):
        model.with_adapters()
    module.base_model.disable_adapter_layers()
    with pytest.raises(Unsupported, match="turned off at the same time"):
        model.trace(TEXT)
    unloaded = wrapped(with_lora().merge_and_unload()).trace(TEXT)
    assert wrong(unloaded, (0,)) == []
    assert torch.allclose(unloaded.tensor("logits"), expected, atol=1e-3)


def test_an_adapter_that_comes_later_is_seen() -> None:
    module = tiny_hf("llama")
    model = LanguageModel.wrap(module, tiny_tokenizer())
    model.trace(TEXT)
    inject_adapter_in_model(LoraConfig(**{**LORA, "target_modules": ["v_proj"]}), module)
    trace = model.trace(TEXT)
    assert "blocks.0.v_lora_default" in trace.names(0)
    assert wrong(trace, (0,)) == []


def test_kinds_that_are_not_read_are_named_and_not_explained() -> None:
    strange = get_peft_model(
        tiny_hf("llama"), LoHaConfig(target_modules=["q_proj"], init_weights=False, task_type="CAUSAL_LM")
    )
    closed = wrapped(strange).report().opaque  # attention is run as a whole, the rest is open
    assert [part.name for part in closed] == [f"blocks.{layer}.mixer" for layer in range(3)]
    assert all(
        "“default” changes a layer in a way that txpanel does not support: loha" in part.reason for part in closed
    )
    strange.base_model.disable_adapter_layers()
    assert wrong(wrapped(strange).trace(TEXT), (0,)) == []  # turned off, it does nothing
    prompt = get_peft_model(tiny_hf("llama"), PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))
    with pytest.raises(Unsupported, match="PROMPT_TUNING: it puts learned vectors before the text"):
        wrapped(prompt)
    (table,) = wrapped(with_lora(target_modules=["embed_tokens"])).report().opaque
    assert table.name == "embed"
    assert "lora, Embedding" in table.reason


def test_a_saved_run_keeps_what_adapters_made(tmp_path: Path) -> None:
    trace = wrapped(with_lora("gpt2", use_dora=True, **GPT2)).trace(TEXT)
    opened = open_trace(trace.save(tmp_path / "run.safetensors"))
    assert opened.names() == trace.names()
    for name in ("blocks.1.qkv_lora_default", "blocks.1.k_dora_default", "blocks.1.v"):
        assert torch.equal(opened.tensor(name), trace.tensor(name))
    assert opened.operation("blocks.1.v").formula == trace.operation("blocks.1.v").formula  # type: ignore[union-attr]
    assert opened.provenance["adapters"] == "default"
