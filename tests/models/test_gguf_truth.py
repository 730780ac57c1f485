"""A GGUF file becomes the model that it was made from, number for number, or is refused in words: nothing in it is passed over."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from tests.models import ggufmodels
from txpanel.errors import BadFile, TxpanelError, Unsupported
from txpanel.models import from_pretrained
from txpanel.models.sources.convert import convert
from txpanel.models.sources.gguf_content import TYPES
from txpanel.models.sources.gguf_rules import ARCHITECTURES
from txpanel.models.sources.gguf_tokenizer import CUTS

IDS = torch.tensor(
    [
        [
            5,
            100,
            200,
            3,
            3,
            77,
            90,
            12,
            44,
            61,
            99,
            120,
            130,
            140,
            150,
            160,
            170,
            180,
            9,
            8,
            7,
            6,
            5,
            4,
            3,
            2,
            1,
            33,
            34,
            35,
        ]
    ]
)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Path], Any]:
    def converted(path: Path) -> Any:
        target = tmp_path / "ready"
        target.mkdir(exist_ok=True)
        convert(path, target)
        return from_pretrained.open_folder(target)[0]

    return converted


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS).logits


@pytest.mark.parametrize("name", ggufmodels.FAMILIES)
def test_the_numbers_are_the_models(tmp_path: Path, opened: Callable[[Path], Any], name: str) -> None:
    source = ggufmodels.model(name)
    found = opened(ggufmodels.write(tmp_path / "m.gguf", name, source))
    for (key, one), (_key, two) in zip(source.state_dict().items(), found.state_dict().items(), strict=True):
        assert torch.allclose(one, two, atol=1e-6), key
    assert torch.allclose(logits(found), logits(source), atol=1e-4, rtol=1e-4)
    assert float(logits(source).std()) > 0.1  # large enough to show a wrong constant


def test_every_architecture_is_tried() -> None:
    assert {name.split(",")[0] for name in ggufmodels.FAMILIES} == set(ARCHITECTURES)


ROPE = {
    "linear": ({"rope_type": "linear", "factor": 4.0}, {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "an old linear": ({"rope_type": "linear", "factor": 4.0}, {"rope.scale_linear": 4.0}),
    "a factor alone": ({"rope_type": "linear", "factor": 2.0}, {"rope.scaling.factor": 2.0}),
    "none": ({"rope_type": "default"}, {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}),
    "yarn": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32},
    ),
    "yarn, of the length that the file states": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0},
    ),
    "yarn, its bounds": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 16.0, "beta_slow": 2.0},
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32, "rope.scaling.yarn_beta_fast": 16.0,
         "rope.scaling.yarn_beta_slow": 2.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [*(("llama", kind) for kind in ROPE), ("qwen2", "yarn")])
def test_scaled_positions_are_transformers_own(
    tmp_path: Path, opened: Callable[[Path], Any], name: str, kind: str
) -> None:
    parameters, keys = ROPE[kind]
    source = ggufmodels.model(name, rope_parameters={"rope_theta": 10_000.0, **parameters})
    found = opened(ggufmodels.write(tmp_path / "m.gguf", name, source, keys=keys))
    assert torch.allclose(logits(found), logits(source), atol=1e-4, rtol=1e-4)
    if kind != "none":
        assert not torch.allclose(logits(source), logits(ggufmodels.model(name)), atol=1e-2)


@pytest.mark.parametrize("length", [16, 128])
def test_llama_3_positions(tmp_path: Path, opened: Callable[[Path], Any], length: int) -> None:
    own = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": length,
    }
    source = ggufmodels.model("llama", rope_parameters=own, head_dim=32)
    factors = 500_000.0 ** -(np.arange(0, 32, 2) / 32) / source.model.rotary_emb.inv_freq.numpy()
    found = opened(
        ggufmodels.write(
            tmp_path / "m.gguf", "llama", source, change=lambda t: t.update({"rope_freqs.weight": factors})
        )
    )
    assert torch.allclose(found.model.rotary_emb.inv_freq, source.model.rotary_emb.inv_freq, rtol=1e-5)
    assert torch.allclose(logits(found), logits(source), atol=1e-4, rtol=1e-4)


def test_any_factors_for_frequencies_are_obeyed(tmp_path: Path, opened: Callable[[Path], Any]) -> None:
    factors = np.array([1.0, 1.5, 0.7, 4.0, 2.0, 9.0, 3.0, 1.1], np.float32)
    source = ggufmodels.model("llama")
    path = ggufmodels.write(
        tmp_path / "m.gguf", "llama", source, change=lambda t: t.update({"rope_freqs.weight": factors})
    )
    source.model.rotary_emb.inv_freq /= torch.from_numpy(factors)
    found = opened(path)
    assert torch.allclose(found.model.rotary_emb.inv_freq, source.model.rotary_emb.inv_freq, rtol=1e-6)
    assert torch.allclose(logits(found), logits(source), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("original", [16, 64])  # the text is longer than the first and shorter than the second
def test_long_and_short_factors(tmp_path: Path, opened: Callable[[Path], Any], original: int) -> None:
    long, short = np.linspace(1, 9, 4, dtype=np.float32), np.linspace(1, 2, 4, dtype=np.float32)
    own = {"rope_type": "longrope", "rope_theta": 10_000.0, "long_factor": long.tolist(), "short_factor": short.tolist(),
           "original_max_position_embeddings": original, "partial_rotary_factor": 0.5}  # fmt: skip
    source = ggufmodels.model("phi3", rope_parameters=own, original_max_position_embeddings=original)
    attention = float(np.sqrt(1 + np.log(128 / original) / np.log(original)))
    found = opened(ggufmodels.write(
        tmp_path / "m.gguf", "phi3", source, keys={"rope.scaling.original_context_length": original, "rope.scaling.attn_factor": attention},
        change=lambda t: t.update({"rope_factors_long.weight": long, "rope_factors_short.weight": short}),
    ))  # fmt: skip
    assert torch.allclose(logits(found), logits(source), atol=1e-4, rtol=1e-4)


def without(name: str) -> dict[str, Any]:
    return {"change": lambda tensors: tensors.pop(name)}


def with_(name: str, *shape: int) -> dict[str, Any]:
    return {"change": lambda tensors: tensors.update({name: np.ones(shape, np.float32)})}


def broken(name: str) -> dict[str, Any]:
    return {"change": lambda tensors: tensors[name].flat.__setitem__(7, np.nan)}


def factors(*values: float) -> dict[str, Any]:
    return {"change": lambda tensors: tensors.update({"rope_freqs.weight": np.array(values, np.float32)})}


def reshaped(name: str, *shape: int) -> dict[str, Any]:
    return {"change": lambda tensors: tensors.update({name: np.resize(tensors[name], shape)})}


REFUSED: dict[str, tuple[dict[str, Any], type[TxpanelError], str]] = {
    "no up": (without("blk.0.ffn_up.weight"), BadFile, r"incomplete: 1 tensor is missing, blk\.0\.ffn_up\.weight"),
    "no table": (without("token_embd.weight"), BadFile, r"missing, token_embd\.weight"),
    "no last norm": (without("output_norm.weight"), BadFile, r"missing, output_norm\.weight"),
    "a bias of the output": (with_("blk.1.attn_output.bias", 64), Unsupported, r"no place for, blk\.1\.attn_output\.bias"),
    "biases in one block only": (with_("blk.1.attn_q.bias", 64), Unsupported, r"no place for, blk\.1\.attn_q\.bias"),
    "norms of queries": (with_("blk.0.attn_q_norm.weight", 16), Unsupported, r"attn_q_norm"),
    "a block too many": (with_("blk.2.ffn_up.weight", 96, 64), Unsupported, r"blk\.2\.ffn_up"),
    "experts": (with_("blk.0.ffn_gate_inp.weight", 4, 64), Unsupported, r"ffn_gate_inp"),
    "a bias of the head": (with_("output.bias", 258), Unsupported, r"output\.bias"),
    "another shape": (with_("blk.0.ffn_up.weight", 64, 96), BadFile, r"blk\.0\.ffn_up\.weight has the shape"),
    "no number": (broken("blk.1.ffn_down.weight"), BadFile, "values that are NaN"),
    "expert count": ({"keys": {"expert_count": 4}}, Unsupported, r"does not know its setting llama\.expert_count \(4\)"),
    "window": ({"keys": {"attention.sliding_window": 4}}, Unsupported, r"sliding_window"),
    "soft-cap": ({"keys": {"final_logit_softcapping": 30.0}}, Unsupported, r"final_logit_softcapping"),
    "a setting of the future": ({"keys": {"attention.twist": 0.5}}, Unsupported, r"llama\.attention\.twist \(0\.5\)"),
    "partial rotation": ({"keys": {"rope.dimension_count": 8}}, Unsupported, "only 8 of 16 numbers of a head are rotated"),
    "values of another size": ({"keys": {"attention.value_length": 8}}, Unsupported, "different sizes"),
    "unknown scaling": ({"keys": {"rope.scaling.type": "spiral"}}, Unsupported, "“spiral”"),
    "two scalings": ({"keys": {"rope.scaling.factor": 4.0}, "change": lambda t: t.update({"rope_freqs.weight": np.full(8, 2.0)})}, Unsupported, "two ways"),
    "attention factor alone": ({"keys": {"rope.scaling.attn_factor": 1.3}}, Unsupported, "two ways at once"),
    "long without short": (with_("rope_factors_long.weight", 8), Unsupported, "rope_factors_short"),
    "blocks that differ": ({"keys": {"attention.head_count_kv": [2, 4]}}, Unsupported, "its blocks differ in llama.attention.head_count_kv"),
    "no width": ({"keys": {"embedding_length": None}}, BadFile, r"llama\.embedding_length is missing"),
    "more blocks than tensors": ({"keys": {"block_count": 2**31}}, BadFile, "says that it has 2147483648 blocks, and has 20 tensors"),
    "rows that no heads divide": (reshaped("blk.0.attn_q.weight", 63, 64), BadFile, r"attn_q\.weight has the shape"),
    "fewer rows than tokens": (reshaped("token_embd.weight", 200, 64), BadFile, "258 tokens, and its embedding matrix 200 rows"),
    "a base of zero": ({"keys": {"rope.freq_base": 0.0}}, BadFile, r"llama\.rope\.freq_base is 0\.0"),
    "a base that is no number": ({"keys": {"rope.freq_base": float("nan")}}, BadFile, r"freq_base is nan"),
    "a base in words": ({"keys": {"rope.freq_base": "many"}}, BadFile, r"freq_base is 'many'"),
    "a negative factor": ({"keys": {"rope.scaling.factor": -4.0}}, BadFile, r"scaling\.factor is -4"),
    "an epsilon below zero": ({"keys": {"attention.layer_norm_rms_epsilon": -1.0}}, BadFile, "epsilon is -1"),
    "no heads": ({"keys": {"attention.head_count": 0}}, BadFile, r"head_count is 0"),
    "heads that do not fit": ({"keys": {"attention.head_count_kv": 3}}, BadFile, "4 heads that share 3 keys do not fit"),
    "blocks in words": ({"keys": {"block_count": "two"}}, BadFile, r"block_count is 'two'"),
    "no room for a text": ({"keys": {"context_length": 0}}, BadFile, r"context_length is 0"),
    "half a pair": ({"keys": {"attention.key_length": 15, "attention.value_length": 15, "rope.dimension_count": 15}}, BadFile, "15 of the 15"),
    "too few factors": (factors(2, 2, 2, 2), BadFile, r"rope_freqs\.weight has to have .* each of the 8 pairs"),
    "a factor of zero": (factors(0, 1, 1, 1, 1, 1, 1, 1), BadFile, "above 0"),
    "a factor that is no number": (factors(1, 1, float("nan"), 1, 1, 1, 1, 1), BadFile, "above 0"),
    "an adapter": ({"keys": {"general.type": "adapter"}}, Unsupported, "holds not a model"),
    "a part that lacks tensors": ({"keys": {"split.tensors.count": 30}}, BadFile, "of 30"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_nothing_is_passed_over(tmp_path: Path, opened: Callable[[Path], Any], kind: str) -> None:
    how, error, words = REFUSED[kind]
    with pytest.raises(error, match=words):
        opened(ggufmodels.write(tmp_path / "m.gguf", "llama", ggufmodels.model("llama"), **how))
    assert not list((tmp_path / "ready").iterdir())


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("granite", "attention.scale", 0.0),
        ("granite", "logit_scale", 0.0),
        ("granite", "embedding_scale", float("nan")),
        ("gemma3", "attention.sliding_window", 0),
        ("gemma3", "attention.sliding_window_pattern", 0),
        ("gemma2", "final_logit_softcapping", float("nan")),
        ("phi3", "rope.dimension_count", 0),
    ],
)
def test_no_number_is_made_of_one_that_makes_no_sense(
    tmp_path: Path, opened: Callable[[Path], Any], name: str, key: str, value: float
) -> None:
    path = ggufmodels.write(tmp_path / "m.gguf", name, ggufmodels.model(name), keys={key: value})
    with pytest.raises(BadFile, match=rf"{name}\.{key} is {value}"):
        opened(path)


def test_equal_numbers_for_every_block_are_one(tmp_path: Path, opened: Callable[[Path], Any]) -> None:
    source = ggufmodels.model("llama")
    found = opened(
        ggufmodels.write(
            tmp_path / "m.gguf",
            "llama",
            source,
            keys={"attention.head_count_kv": [2, 2], "feed_forward_length": [96, 96]},
        )
    )
    assert torch.equal(logits(found), logits(source))


def test_an_unknown_architecture_is_named(tmp_path: Path, opened: Callable[[Path], Any]) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "wavenet")
    writer.add_tensor("token_embd.weight", np.ones((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(Unsupported, match=r"architecture “wavenet”\. txpanel reads GGUF files of: llama, granite"):
        opened(tmp_path / "m.gguf")


def half(number: int, name: str) -> bool:
    return name.startswith("blk.1.") == bool(number)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """A model in two parts."""
    source, made = ggufmodels.model("llama"), []
    for number in range(2):
        keys = {"split.no": number, "split.count": 2, "split.tensors.count": 20}
        path = tmp_path / f"tiny-{number + 1:05d}-of-00002.gguf"
        made.append(ggufmodels.write(path, "llama", source, keys=keys, only=partial(half, number)))
    return made


@pytest.mark.parametrize("which", [0, 1])
def test_parts_are_joined(two: list[Path], opened: Callable[[Path], Any], which: int) -> None:
    assert torch.equal(logits(opened(two[which])), logits(ggufmodels.model("llama")))


def test_a_part_that_is_missing_is_named(two: list[Path], opened: Callable[[Path], Any]) -> None:
    two[0].unlink()
    with pytest.raises(BadFile, match=r"one of 2 parts of a model, and tiny-00001-of-00002\.gguf is not beside it"):
        opened(two[1])


def test_a_part_under_another_name_is_refused(two: list[Path], opened: Callable[[Path], Any]) -> None:
    renamed = two[0].rename(two[0].with_name("whole.gguf"))
    with pytest.raises(BadFile, match="its name does not say which"):
        opened(renamed)


def test_the_same_part_twice_is_refused(two: list[Path], opened: Callable[[Path], Any]) -> None:
    two[1].write_bytes(two[0].read_bytes())
    with pytest.raises(BadFile, match="not the part of the model that its name says"):
        opened(two[0])


SECOND = importlib.util.find_spec("transformers.integrations.gguf") is not None  # from transformers 5.23 on


@pytest.mark.parametrize("kind", [k for k in TYPES if SECOND and k not in ("F32", "F16", "BF16")])
def test_types_agree_with_a_second_source(kind: str) -> None:
    """gguf's NumPy and transformers' torch, each written from llama.cpp's C, on random blocks."""
    dequant = importlib.import_module("transformers.integrations.gguf.dequant")
    number = gguf.GGMLQuantizationType[kind]
    if number.value not in dequant.GGML_BLOCK:
        assert kind in ("Q5_0", "Q5_1")  # compared with quantize below
        return
    _elements, size = dequant.GGML_BLOCK[number.value]
    blocks = np.random.default_rng(0).integers(0, 256, (64, size), np.uint8)
    with np.errstate(all="ignore"):  # some of these blocks have scales that are no numbers
        ours = gguf.quants.dequantize(blocks, number).reshape(-1)
    theirs = dequant.dequantize(torch.from_numpy(blocks).reshape(-1), number.value).numpy()
    finite = np.isfinite(ours) & np.isfinite(theirs)
    assert finite.mean() > 0.8
    assert np.allclose(ours[finite], theirs[finite], rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_types_are_near_what_was_stored(kind: str) -> None:
    number, value = gguf.GGMLQuantizationType[kind], np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    again = gguf.quants.dequantize(gguf.quants.quantize(value, number), number)
    assert np.abs(again - value).max() < {"F16": 2e-3, "BF16": 2e-2, "Q8_0": 2e-2}.get(kind, 0.4)


def test_a_type_that_was_not_tried_is_named(tmp_path: Path, opened: Callable[[Path], Any]) -> None:
    source = ggufmodels.model("llama", hidden_size=256, intermediate_size=256)
    with pytest.raises(Unsupported, match=r"stored as TQ1_0, which txpanel cannot read\. It reads: F32, F16"):
        opened(ggufmodels.write(tmp_path / "m.gguf", "llama", source, kind="TQ1_0"))


def test_the_docs_list_what_was_tried() -> None:
    text = (
        (Path(__file__).parents[2] / "docs/reference.md")
        .read_text(encoding="utf-8")
        .partition("## GGUF files")[2]
        .partition("\n## ")[0]
    )
    rows = {row.split("|")[1].split("(")[0].strip(): row for row in text.splitlines() if row.startswith("| ")}
    for row, known in (
        ("architectures", ARCHITECTURES),
        ("types of tensors", TYPES),
        ("ways of cutting text", [n for names in CUTS.values() for n in names]),
    ):
        assert {name for name in known if f"`{name}`" not in rows[row]} == set()
