"""Which models fill gaps, and opening one from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import txpanel
from tests.families import masked_tokenizer, tiny_hf
from tests.sweep.configs import MASKED, model_of
from txpanel.errors import BadFile
from txpanel.models.masked_tokens import mask_id, predicts_masked_tokens


def test_it_depends_on_the_class_and_on_what_its_config_says() -> None:
    assert predicts_masked_tokens(model_of("bert" + MASKED))
    assert predicts_masked_tokens(model_of("xlm" + MASKED))  # one class for both
    assert not predicts_masked_tokens(model_of("bert"))
    assert not predicts_masked_tokens(tiny_hf("gpt2"))


def test_the_mask_is_the_tokenizers_and_else_the_configs() -> None:
    tokenizer = masked_tokenizer()
    assert mask_id(tokenizer) == tokenizer.mask_token_id
    assert mask_id(None, model_of("esm" + MASKED).config) == 259
    assert mask_id(None, None) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole BERT with its tokenizer, as its checkpoints are: with a pooler and the head of the other task, which have no part in it."""
    model_of("bert" + MASKED).save_pretrained(tmp_path)
    masked_tokenizer().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    more = {"bert.pooler.dense.weight": torch.ones(32, 32), "cls.seq_relationship.weight": torch.ones(2, 32)}
    save_file({**load_file(weights), **more}, weights, {"format": "pt"})
    return tmp_path


def test_a_folder_is_opened_as_what_it_was_trained_for(folder: Path) -> None:
    model = txpanel.load(str(folder))
    assert type(model.model).__name__ == "BertForMaskedLM"
    assert model.anatomy.fills
    assert not model.report().opaque
    trace = model.trace("a <mask> c")
    with torch.inference_mode():
        theirs = model.model(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0, trace.gaps[0]]
    assert torch.equal(trace.tensor("logits"), theirs)


def test_one_that_was_trained_for_both_tasks_as_well(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps(config | {"architectures": ["BertForPreTraining"]}), encoding="utf-8"
    )
    assert txpanel.load(str(folder)).anatomy.fills


def test_a_weight_that_is_no_part_of_another_task_is_not_passed_over(folder: Path) -> None:
    weights = folder / "model.safetensors"
    save_file({**load_file(weights), "bert.encoder.layer.0.more": torch.ones(3)}, weights, {"format": "pt"})
    with pytest.raises(txpanel.errors.Unsupported, match="no place for"):
        txpanel.load(str(folder))
    save_file({k: v for k, v in load_file(weights).items() if "transform" not in k}, weights, {"format": "pt"})
    with pytest.raises(BadFile, match="missing"):
        txpanel.load(str(folder))


def test_a_model_that_gives_no_token_is_refused_as_what_it_is(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps(config | {"model_type": "electra", "architectures": ["ElectraForPreTraining"]}),
        encoding="utf-8",
    )
    with pytest.raises(txpanel.errors.Unsupported, match="it detects replaced tokens"):
        txpanel.load(str(folder))
