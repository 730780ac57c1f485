"""Weights in fewer bits, by the libraries' own kernels on this CPU: the unpacked matrix explains the run within the error that is stated."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bitsandbytes  # noqa: F401 - transformers looks for it
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig
from transformers.integrations.finegrained_fp8 import FP8Linear

from tests.families import GQA, tiny_hf, tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from txpanel.errors import NoSuchTensor
from txpanel.models.language_model import LanguageModel
from txpanel.models.quantised import PackedWeight
from txpanel.tracing.trace import Trace

pytestmark = [
    PEFT_WARNS,
    pytest.mark.filterwarnings("ignore::UserWarning:torchao"),
]
TEXT = "hello wörld, a b c"
Q = "model.layers.1.self_attn.q_proj.weight"
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
KINDS: dict[str, tuple[Any, torch.dtype, str]] = {
    "8 bits": (BitsAndBytesConfig(load_in_8bit=True), torch.float32, "bitsandbytes, 8 bits"),
    "8 bits, no outliers": (BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0), torch.float32, "bitsandbytes, 8 bits"),
    "4 bits": (BitsAndBytesConfig(**NF4, bnb_4bit_compute_dtype=torch.float32), torch.float32, "bitsandbytes, 4 bits (nf4)"),
    "4 bits in bfloat16": (BitsAndBytesConfig(**NF4, bnb_4bit_compute_dtype=torch.bfloat16), torch.float32, "bitsandbytes, 4 bits (nf4)"),
    "int8": ("Int8WeightOnlyConfig", torch.float32, "torchao (Int8Tensor)"),
    "int8 of both": ("Int8DynamicActivationInt8WeightConfig", torch.float32, "torchao (Int8Tensor)"),
    "float8": ("Float8WeightOnlyConfig", torch.bfloat16, "torchao (Float8Tensor)"),
    "int of any width": ("IntxWeightOnlyConfig", torch.float32, "torchao (IntxUnpackedToInt8Tensor)"),
}  # fmt: skip
"""Settings (of torchao by name), the type of the other weights, what it is called. torchao is in the environment of the sweep only: transformers
imports it wherever it is installed, a second for each server that the other tests start."""


def kinds(*names: str) -> list[Any]:
    """Names as parameters of a test; those of torchao are tried with the sweep."""
    return [pytest.param(name, marks=pytest.mark.sweep) if isinstance(KINDS[name][0], str) else name for name in names]


def settings(kind: str) -> Any:
    """What transformers is told."""
    found = KINDS[kind][0]
    if not isinstance(found, str):
        return found
    return TorchAoConfig(getattr(importlib.import_module("torchao.quantization"), found)())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny llama, wide enough for the blocks of 64 weights that 4-bit formats take together."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **{**GQA, "hidden_size": 64, "intermediate_size": 128, "head_dim": 16})
    made = tmp_path_factory.mktemp("plain")
    AutoModelForCausalLM.from_config(config).save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def packed(folder: Path) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in made:
            made[kind] = AutoModelForCausalLM.from_pretrained(
                folder, quantization_config=settings(kind), dtype=KINDS[kind][1]
            ).eval()
        return made[kind]

    return get


def traced(module: Any) -> Trace:
    return LanguageModel.wrap(module, tiny_tokenizer()).trace(TEXT)


def wrong(trace: Trace, layer: int = 1) -> list[str]:
    """Names of tensors of a block that differ from the recorded ones by more than rounding and the stated error."""
    assert trace.model is not None
    found, rounding = [], 1e-5 if trace.model.dtype == torch.float32 else 0.05
    for name in trace.names(layer):
        operation, recorded = trace.operation(name), trace.tensor(name)
        assert operation is not None
        inputs = {source: trace.tensor(source) for source in operation.inputs}
        finite, slack = torch.isfinite(recorded), operation.slack(inputs)
        off = (operation.recompute(inputs) - recorded).abs() - (0.0 if slack is None else slack)
        cell = tuple(size // 2 for size in recorded.shape)
        if (
            float(off[finite].max()) > rounding * float(recorded[finite].abs().max())
            or not trace.why(name, **dict(zip(operation.dims, cell, strict=True))).check.ok
        ):
            found.append(name)
        if slack is not None:
            assert operation.slack_at(inputs, cell) == pytest.approx(float(slack[cell]), rel=1e-4)
    return found


@pytest.mark.parametrize("kind", kinds(*KINDS))
def test_the_unpacked_matrix_explains_the_run(kind: str, packed: Callable[[str], Any], folder: Path) -> None:
    module = packed(kind)
    trace = traced(module)
    with torch.inference_mode():
        expected = module(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1].float()
    assert torch.allclose(trace.tensor("logits"), expected, atol=1e-4 * float(expected.abs().max()))
    assert wrong(trace) == []
    assert trace.check(1).exact
    assert trace.provenance["quantised"] == KINDS[kind][2]
    assert trace.anatomy.parameters == AutoModelForCausalLM.from_pretrained(folder).num_parameters()


@pytest.mark.parametrize("kind", kinds(*KINDS))
def test_a_weight_is_shown_as_what_it_stands_for(kind: str, packed: Callable[[str], Any], folder: Path) -> None:
    """Never the packed numbers: what is shown is near the weights from which they were made."""
    trace = traced(packed(kind))
    plain = AutoModelForCausalLM.from_pretrained(folder).get_parameter(Q).detach()
    shown = trace.value(Q)
    assert shown.shape == plain.shape == (64, 64)
    assert float((shown - plain).norm() / plain.norm()) < (0.2 if "4 bits" in kind else 0.06)
    source = next(
        s for t in trace.why("blocks.1.q_pre_rotary", head=1, token=3, dim=2).terms for s in t.sources if s.name == Q
    )
    assert source.index["row"] == 18
    assert trace.why(Q, **source.index).value == float(shown[18, source.index["column"]])


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("8 bits", 0.08),
        ("8 bits, no outliers", 0.08),
        ("4 bits", 0.0),
        pytest.param("int8 of both", 0.08, marks=pytest.mark.sweep),
        pytest.param("int8", 0.0, marks=pytest.mark.sweep),
    ],
)
def test_the_error_that_is_stated_is_the_kernel_s(kind: str, most: float, packed: Callable[[str], Any]) -> None:
    """It holds for the layer's own output on any input, and is not so wide that it would allow anything."""
    layer = packed(kind).model.layers[0].mlp.up_proj
    found = LanguageModel.wrap(packed(kind), tiny_tokenizer()).parts.blocks[0].maps["up"].packed
    assert found is not None
    x = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    x[::7, 5] *= 8.0  # outliers
    with torch.inference_mode():
        off = (layer(x[None])[0].float() - x @ found.dense().T).abs()
        stated = found.error(x, found.dense())
    size = (x @ found.dense().T).abs().amax(-1, keepdim=True)
    assert bool((off <= stated + 1e-5 * size).all())
    if kind == "4 bits" and found.computes_in is not None:  # a processor with bfloat16 instructions: see `_four_bits`
        most = 0.02
    assert float((stated / size).mean()) <= most
    assert most == 0.0 or float(off.max() / stated.max()) > 0.05


def test_another_matrix_is_noticed(packed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacked wrongly, a matrix does not explain the run within the stated error, and its part is closed."""
    unpack = PackedWeight._unpack
    monkeypatch.setattr(PackedWeight, "_unpack", lambda self: unpack(self) * (1.2 if self.shape == (64, 64) else 1.0))
    blocks = LanguageModel.wrap(packed("8 bits"), tiny_tokenizer()).anatomy.blocks
    assert ["mixer" in block.opaque for block in blocks] == [True] * 3
    assert ["mlp" in block.opaque for block in blocks] == [False] * 3


@pytest.mark.sweep
def test_a_matrix_that_was_written_to_is_unpacked_anew(packed: Callable[[str], Any]) -> None:
    found = LanguageModel.wrap(packed("int8"), tiny_tokenizer()).parts.blocks[0].maps["o"].packed
    assert found is not None
    before = found.dense()
    assert found.dense() is before
    weight: Any = found.module.weight
    was = weight.qdata.clone()
    with torch.no_grad():
        weight.qdata.zero_()
        assert not found.dense().any()
        weight.qdata.copy_(was)
    assert torch.equal(found.dense(), before)


@pytest.mark.parametrize("kind", ["4 bits", "8 bits"])
def test_an_adapter_on_quantised_weights(kind: str, packed: Callable[[str], Any], folder: Path) -> None:
    config, dtype, _method = KINDS[kind]
    base = AutoModelForCausalLM.from_pretrained(folder, quantization_config=config, dtype=dtype)
    targets = ["q_proj", "o_proj", "up_proj", "down_proj"]
    module = get_peft_model(
        base, LoraConfig(r=3, init_lora_weights=False, target_modules=targets, task_type="CAUSAL_LM")
    ).eval()
    trace = traced(module)
    assert wrong(trace) == []
    assert {"blocks.1.q_lora_default", "blocks.1.o_lora_default"} <= set(trace.names(1))
    module.base_model.disable_adapter_layers()
    assert torch.equal(traced(module).tensor("logits"), traced(packed(kind)).tensor("logits"))


class GPTQ(torch.nn.Module):
    """What a layer of gptqmodel holds; it runs, with a matrix that nobody outside can see."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("qweight", torch.zeros(4, 32, dtype=torch.int32))
        self.register_buffer("scales", torch.ones(1, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-1)


class Packed(GPTQ):
    """A layer with integers where the weights would be."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(32, 32, dtype=torch.uint8))
        del self.qweight


class FP8(FP8Linear):
    """The layer of transformers; its kernel needs a GPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-1)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: FP8(32, 32, block_size=(32, 32)), r"The weights of FP8 are quantised .*\(FP8\)"),
        (GPTQ, "GPTQ or AWQ"),
        (Packed, "The weights of Packed are quantised"),
    ],
)
def test_what_is_not_read_is_named_and_closed(layer: Callable[[], Any], said: str) -> None:
    module = tiny_hf("llama")
    module.model.layers[1].self_attn.q_proj = layer()
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert re.search(said, model.anatomy.blocks[1].opaque["mixer"])
    assert [block.opaque for block in (model.anatomy.blocks[0], model.anatomy.blocks[2])] == [{}, {}]
    trace = model.trace(TEXT)
    assert "blocks.1.q" not in trace
    assert trace.why("blocks.1.mixer_out", token=2, feature=3).check.ok
    with pytest.raises(NoSuchTensor):
        trace.value("model.layers.1.self_attn.q_proj.weight")


def test_a_packed_token_table_is_closed() -> None:
    module = tiny_hf("llama")
    module.model.embed_tokens.weight = torch.nn.Parameter(torch.ones(300, 32, dtype=torch.int8), requires_grad=False)
    module.model.embed_tokens.register_forward_hook(lambda _module, _args, out: out.float())
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert "embedding matrix is quantised" in model.anatomy.opaque["embed"]
    with pytest.raises(NoSuchTensor):
        model.trace(TEXT).value("model.embed_tokens.weight")


def test_sizes_of_quantised_weights(packed: Callable[[str], Any]) -> None:
    whole = [LanguageModel.wrap(packed(kind), tiny_tokenizer()).nbytes for kind in ("8 bits", "4 bits")]
    assert all(90_000 < size < 300_000 for size in whole), whole
    assert list(itertools.chain(whole))[1] < whole[0]
