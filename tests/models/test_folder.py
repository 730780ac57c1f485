from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from txpanel.errors import BadFile, ModelNotFound, TxpanelError, Unsupported
from txpanel.models import from_pretrained
from txpanel.models.sources import folder as local


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_a_whole_folder_passes(whole: Path) -> None:
    local.check(whole)
    model, tokenizer = from_pretrained.open_folder(whole)
    assert model.dtype == torch.float32
    assert not model.training
    assert tokenizer("CBA=")["input_ids"] == list(b"CBA=")


def damage(folder: Path, kind: str) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    match kind:
        case "gone":
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        case "no config":
            (folder / "config.json").unlink()
        case "config not json":
            (folder / "config.json").write_text("{", encoding="utf-8")
        case "config is a list":
            (folder / "config.json").write_text("[]", encoding="utf-8")
        case "config without type":
            (folder / "config.json").write_text("{}", encoding="utf-8")
        case "unknown type":
            edit(folder / "config.json", model_type="gpt99")
        case "own code":
            edit(folder / "config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own"})
        case "encoder-decoder":
            edit(folder / "config.json", model_type="musicgen", is_encoder_decoder=True)
        case "fills gaps":
            edit(folder / "config.json", model_type="bert", architectures=["BertForMaskedLM"])
        case "no weights":
            weights.unlink()
        case "pickles":
            weights.unlink()
            (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
        case "empty":
            weights.write_bytes(b"")
        case "cut short":
            weights.write_bytes(content[:-1000])
        case "cut in the header":
            weights.write_bytes(content[:100])
        case "too long":
            weights.write_bytes(content + b"\0" * 8)
        case "foreign":
            weights.write_bytes(b"<!DOCTYPE html><html>" * 100)
        case "hostile length":
            weights.write_bytes(struct.pack("<Q", 2**63) + content[8:])
        case "header not json":
            weights.write_bytes(content[:8] + b"\xff" * length + content[8 + length :])
        case "header without offsets":
            head = json.dumps({"a": {"dtype": "F32", "shape": [1]}}).encode()
            weights.write_bytes(struct.pack("<Q", len(head)) + head + b"\0\0\0\0")
        case "no tensors":
            save_file({}, weights)
        case "a part is missing":
            weights.unlink()
            index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
        case "index leads outside":
            weights.unlink()
            index = {"weight_map": {"a": "../../secret.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
        case "a weight is missing":
            tensors = load_file(weights)
            del tensors["transformer.h.1.attn.c_attn.weight"]
            save_file(tensors, weights, {"format": "pt"})
        case "a weight of another shape":
            tensors = load_file(weights)
            tensors["transformer.h.1.attn.c_attn.weight"] = torch.zeros(3, 3)
            save_file(tensors, weights, {"format": "pt"})
        case "a weight too many":
            save_file(
                {**load_file(weights), "transformer.h.0.attn.q_norm.weight": torch.ones(8)}, weights, {"format": "pt"}
            )
        case "no number":
            tensors = load_file(weights)
            tensors["transformer.h.1.mlp.c_fc.weight"][2, 3] = float("nan")
            save_file(tensors, weights, {"format": "pt"})
        case "infinite":
            tensors = load_file(weights)
            tensors["transformer.ln_f.weight"][0] = float("inf")
            save_file(tensors, weights, {"format": "pt"})
        case "packed":
            tensors = load_file(weights)
            tensors["transformer.h.1.mlp.c_fc.weight"] = (tensors["transformer.h.1.mlp.c_fc.weight"] * 100).to(
                torch.int8
            )
            save_file(tensors, weights, {"format": "pt"})
        case "eight bits":
            tensors = load_file(weights)
            tensors["transformer.h.1.mlp.c_fc.weight"] = tensors["transformer.h.1.mlp.c_fc.weight"].to(
                torch.float8_e4m3fn
            )
            save_file(tensors, weights, {"format": "pt"})
        case "a weight in two parts":
            tensors = load_file(weights)
            weights.unlink()
            for part in ("a", "b"):
                save_file(tensors, folder / f"{part}.safetensors", {"format": "pt"})
            index = {
                "metadata": {},
                "weight_map": {name: f"{'ab'[n % 2]}.safetensors" for n, name in enumerate(tensors)},
            }
            (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "damaged tokenizer":
            (folder / "tokenizer.json").write_text('{"version": "1.0"', encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("gone", ModelNotFound, "no folder"),
        ("no config", BadFile, "no config.json"),
        ("config not json", BadFile, "not valid JSON"),
        ("config is a list", BadFile, "does not describe a model"),
        ("config without type", BadFile, "no model type"),
        ("unknown type", Unsupported, "does not know models of type gpt99"),
        ("own code", Unsupported, "never runs code"),
        ("encoder-decoder", Unsupported, "encoder-decoder"),
        ("fills gaps", BadFile, r"bert\.embeddings\.LayerNorm\.bias"),
        ("no weights", BadFile, "no weights"),
        ("pickles", Unsupported, "pickle"),
        ("empty", BadFile, "incomplete"),
        ("cut short", BadFile, "should have"),
        ("cut in the header", BadFile, "incomplete"),
        ("too long", BadFile, "should have"),
        ("foreign", BadFile, "not a safetensors file"),
        ("hostile length", BadFile, "not a safetensors file"),
        ("header not json", BadFile, "table of contents"),
        ("header without offsets", BadFile, "table of contents"),
        ("no tensors", BadFile, "no weights"),
        ("a part is missing", BadFile, "model-00001-of-00002.safetensors is missing"),
        ("index leads outside", BadFile, "outside its folder"),
        ("a weight is missing", BadFile, "transformer.h.1.attn.c_attn.weight"),
        (
            "a weight of another shape",
            BadFile,
            r"1 weight is missing or of another shape, transformer\.h\.1\.attn\.c_attn\.weight\.$",
        ),
        (
            "a weight too many",
            Unsupported,
            r"1 weight that a gpt2 model of transformers has no place for, transformer\.h\.0\.attn\.q_norm",
        ),
        ("no number", BadFile, r"h\.1\.mlp\.c_fc\.weight holds values that are NaN"),
        ("infinite", BadFile, r"ln_f\.weight holds values that are NaN"),
        ("packed", Unsupported, r"c_fc\.weight as I8 and does not say how to unpack it"),
        ("eight bits", Unsupported, r"c_fc\.weight as F8_E4M3"),
        ("a weight in two parts", BadFile, "is in two of its files"),
        ("no tokenizer", BadFile, "no tokenizer"),
        ("damaged tokenizer", BadFile, "tokenizer"),
    ],
)
def test_damage_is_a_sentence(whole: Path, kind: str, error: type[TxpanelError], words: str) -> None:
    damage(whole, kind)
    with pytest.raises(error, match=words) as caught:
        from_pretrained.open_folder(whole)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_devices_and_types_are_refused_in_words(whole: Path) -> None:
    with pytest.raises(Unsupported, match="not a device"):
        from_pretrained.open_folder(whole, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(Unsupported, match="no device “cuda”"):
            from_pretrained.open_folder(whole, device="cuda")
    for dtype in ("float99", "int8", 7):
        with pytest.raises(Unsupported, match="not a type of weights"):
            from_pretrained.open_folder(whole, dtype=dtype)
    assert from_pretrained.open_folder(whole, dtype="bfloat16")[0].dtype == torch.bfloat16


def test_weights_in_parts(whole: Path) -> None:
    model, _tokenizer = from_pretrained.open_folder(whole)
    (whole / "model.safetensors").unlink()
    model.save_pretrained(whole, max_shard_size="100kB")
    assert len(local.weights(whole)) > 1
    again, _tokenizer = from_pretrained.open_folder(whole)
    for (name, one), (_name, two) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, two), name


def test_loading_leaves_the_settings_of_transformers_alone(whole: Path) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    from_pretrained.open_folder(whole)
    damage(whole, "damaged tokenizer")
    with pytest.raises(BadFile):
        from_pretrained.open_folder(whole)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_what_old_checkpoints_hold_beside_weights_is_let_pass(whole: Path) -> None:
    weights = whole / "model.safetensors"
    before, _tokenizer = from_pretrained.open_folder(whole)
    mask = torch.ones(1, 1, 64, 64).tril().bool()
    old = {"attn.bias": mask, "attn.masked_bias": torch.tensor(-1e4), "attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(
        {**load_file(weights), **{f"transformer.h.1.{name}": value for name, value in old.items()}},
        weights,
        {"format": "pt"},
    )
    after, _tokenizer = from_pretrained.open_folder(whole)
    for (name, one), (_name, two) in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert torch.equal(one, two), name


def test_a_head_of_its_own_is_taken_from_the_files_where_the_configuration_ties_it(whole: Path) -> None:
    weights = whole / "model.safetensors"
    model, _tokenizer = from_pretrained.open_folder(whole)
    head = torch.randn_like(model.lm_head.weight)
    edit(whole / "config.json", tie_word_embeddings=True)
    save_file({**load_file(weights), "lm_head.weight": head}, weights, {"format": "pt"})
    again, _tokenizer = from_pretrained.open_folder(whole)
    assert torch.equal(again.lm_head.weight, head)
    assert torch.equal(again.transformer.wte.weight, model.transformer.wte.weight)
