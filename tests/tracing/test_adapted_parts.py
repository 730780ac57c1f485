"""Adapters of peft on any part of a model: it opens, numbers are those of peft's own run, and only the part that is not read is closed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LNTuningConfig, LoraConfig, get_peft_model

from tests.encoder_decoders import tiny_pair_hf
from tests.families import masked_tokenizer, tiny_hf, tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from tests.sweep.configs import MASKED, model_of
from tests.sweeping import first
from tests.tracing.test_adapters import LORA, stirred, wrong
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.record import extend
from txpanel.tracing.trace import Trace

pytestmark = PEFT_WARNS
TEXT = "hello w<mask>rld, a <mask> c"


def bare(family: str) -> Any:
    if family in ("t5", "bart"):
        return tiny_pair_hf(family)
    return model_of(family) if MASKED in family else tiny_hf(family)


def opened(family: str, config: Any) -> tuple[LanguageModel, Any]:
    module = stirred(get_peft_model(bare(family), config))
    return LanguageModel.wrap(module, masked_tokenizer() if MASKED in family else tiny_tokenizer()), module


def lora(target: str, **more: Any) -> LoraConfig:
    return LoraConfig(**{**LORA, "task_type": None, "target_modules": [target], **more})


def closed(model: LanguageModel) -> dict[str, str]:
    return {part.name: part.reason for part in model.report().opaque if part.name != "encoder"}


def run(model: LanguageModel, module: Any) -> Trace:
    """A run whose logits are peft's own."""
    trace = model.trace(TEXT)
    ids = torch.tensor([trace.tokens.ids.tolist()])
    with torch.inference_mode():
        if trace.source is not None:
            read = torch.tensor([trace.source.tokens.ids.tolist()])
            theirs = module(input_ids=read, decoder_input_ids=ids).logits[0, -1]
        else:
            theirs = module(input_ids=ids).logits[0, trace.answer]
    assert torch.allclose(trace.tensor("logits"), theirs, atol=1e-5 * float(theirs.abs().max()))
    return trace


READ = {
    "bert/masked": {
        "cls.predictions.transform.dense": "mlm_dense",
        "bert.encoder.layer.2.intermediate.dense": "up",
    },
    "distilbert/masked": {"vocab_transform": "mlm_dense", "distilbert.transformer.layer.2.ffn.lin1": "up"},
    "roberta/masked": {"lm_head.dense": "mlm_dense"},
    "modernbert/masked": {"head.dense": "mlm_dense"},
    "albert/masked": {"albert.encoder.albert_layer_groups.0.albert_layers.0.ffn": "up", "predictions.dense": "mlm_dense"},
    "gpt2": {"transformer.h.2.mlp.c_fc": "up"},
    "llama": {"model.layers.2.mlp.up_proj": "up"},
    "t5": {"decoder.block.2.layer.2.DenseReluDense.wi": "up"},
    "bart": {"model.decoder.layers.2.fc1": "up"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "target"), first(4, [(family, target) for family in READ for target in READ[family]])
)
def test_a_low_rank_term_on_any_matrix_is_explained(family: str, target: str) -> None:
    model, module = opened(family, lora(target, fan_in_fan_out=family == "gpt2"))
    assert closed(model) == {}
    part, facts = READ[family][target], model.anatomy
    assert part in {**facts.adapters, **facts.blocks[-1].adapters}
    trace = run(model, module)
    trace = extend(trace, [40, 77, 9, 40]) if trace.source is not None else trace
    assert wrong(trace, (facts.n_layers - 1,)) == []
    name = "mlm_pre" if part == "mlm_dense" else f"blocks.{facts.n_layers - 1}.mlp_pre"
    operation = trace.operation(name)
    assert operation is not None
    again = operation.recompute({source: trace.tensor(source) for source in operation.inputs})
    assert torch.allclose(again, trace.tensor(name), atol=1e-4)
    found = trace.why(name, **dict(zip(operation.dims, (3, 5), strict=True)))
    latent = "mlm_dense_lora_default" if part == "mlm_dense" else f"blocks.{facts.n_layers - 1}.up_lora_default"
    assert found.check.ok
    assert sum(bool(term.sources) and term.sources[0].name == latent for term in found.terms) == 3


@pytest.mark.parametrize(
    ("family", "target", "part"),
    [
        ("bert/masked", "bert.embeddings.position_embeddings", "embed"),
        ("bert/masked", "bert.embeddings.token_type_embeddings", "embed"),
        ("gpt2", "transformer.wpe", "embed"),
        ("t5", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias", "blocks.0.mixer"),
    ],
)
def test_a_table_with_an_adapter_closes_what_reads_it_and_no_more(family: str, target: str, part: str) -> None:
    model, module = opened(family, lora(target))
    found = closed(model)
    assert part in found
    assert "“default” changes a layer in a way that txpanel does not support: lora, Embedding" in found[part]
    assert all(name == part or (part != "embed" and name.endswith(".mixer")) for name in found)
    run(model, module)


@pytest.mark.parametrize(
    ("family", "target"),
    [
        ("esm/masked", "esm.contact_head.regression"),
        ("t5", "encoder.block.1.layer.0.SelfAttention.q"),
        ("t5", "encoder.final_layer_norm"),
        ("bart", "model.encoder.layers.1.fc1"),
    ],
)
def test_an_adapter_beside_what_is_shown_closes_nothing(family: str, target: str) -> None:
    config = LNTuningConfig(target_modules=[target]) if "norm" in target else lora(target)
    model, module = opened(family, config)
    assert closed(model) == {}
    run(model, module)


@pytest.mark.parametrize(
    ("family", "target"),
    [
        ("distilbert/masked", "distilbert.transformer.layer.2.sa_layer_norm"),
        ("distilbert/masked", "distilbert.transformer.layer.2.output_layer_norm"),
        ("bart", "model.decoder.layers.2.self_attn_layer_norm"),
    ],
)
def test_a_norm_that_an_adapter_has_replaced_stands_where_it_stood(family: str, target: str) -> None:
    model, module = opened(family, LNTuningConfig(target_modules=[target]))
    assert closed(model) == {}
    assert wrong(run(model, module), (2,)) == []


@pytest.mark.parametrize(
    "copied", ["transformer.wpe", "transformer.h.2.mlp", "transformer.h.1.attn", "transformer.ln_f"]
)
def test_a_copy_of_any_module_is_read_in_its_place(copied: str) -> None:
    model, module = opened("gpt2", lora("transformer.h.0.attn.c_attn", fan_in_fan_out=True, modules_to_save=[copied]))
    assert closed(model) == {}
    assert wrong(run(model, module), (0, 1, 2)) == []
