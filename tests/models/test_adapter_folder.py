"""Folders with an adapter: beside its model, or alone and named after its base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import txpanel
from tests.of_peft import PEFT_WARNS
from txpanel.compat.adapter_beside import without_adapter
from txpanel.errors import BadFile, ModelNotFound, TxpanelError, Unsupported
from txpanel.models.loading import NANO_FOLDER
from txpanel.models.sources import adapter_folder

pytestmark = [
    pytest.mark.usefixtures("cache_root"),
    PEFT_WARNS,
]
IDS = torch.arange(40, 60)[None]
LORA: dict[str, Any] = {
    "r": 3,
    "lora_alpha": 12,
    "init_lora_weights": False,
    "target_modules": ["c_attn", "c_fc"],
    "fan_in_fan_out": True,
}


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits[0].float()


@pytest.fixture
def adapter(whole: Path, tmp_path: Path) -> Path:
    """A folder with nothing but an adapter for the model in `whole`."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(whole)
    made = get_peft_model(base, LoraConfig(**LORA, task_type="CAUSAL_LM"))
    made.save_pretrained(tmp_path / "adapter")
    edit(tmp_path / "adapter", base_model_name_or_path=str(whole), init_lora_weights=True)
    return tmp_path / "adapter"


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def by_peft(adapter: Path, whole: Path) -> torch.Tensor:
    return logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(whole), adapter).eval())


def test_an_adapter_alone_is_put_on_the_base_that_it_names(adapter: Path, whole: Path) -> None:
    model = txpanel.load(str(adapter))
    expected = by_peft(adapter, whole)
    trace = model.trace(IDS[0].tolist())
    assert torch.allclose(trace.tensor("logits"), expected[-1], atol=1e-4)
    assert not torch.allclose(expected, logits(AutoModelForCausalLM.from_pretrained(whole)), atol=0.1)
    assert trace.provenance["adapters"] == "default"
    assert trace.why("blocks.0.v", kv_head=0, token=3, dim=1).check.ok
    assert str(whole) in model.source.note
    assert model.title == "adapter (whole)"


@pytest.mark.parametrize(
    "more", [{"use_dora": True}, {"use_rslora": True, "rank_pattern": {"c_fc": 5}}, {"modules_to_save": ["ln_f"]}]
)
def test_kinds_of_lora(more: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(whole)
    get_peft_model(base, LoraConfig(**{**LORA, **more}, task_type="CAUSAL_LM")).save_pretrained(tmp_path / "made")
    edit(tmp_path / "made", base_model_name_or_path="../whole", init_lora_weights=True)
    trace = txpanel.load(str(tmp_path / "made")).trace(IDS[0].tolist())
    assert torch.allclose(trace.tensor("logits"), by_peft(tmp_path / "made", whole)[-1], atol=1e-4)


def test_ia3(whole: Path, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(whole)
    config = IA3Config(
        target_modules=["c_attn", "c_fc"],
        feedforward_modules=[],
        fan_in_fan_out=True,
        init_ia3_weights=False,
        task_type="CAUSAL_LM",
    )
    get_peft_model(base, config).save_pretrained(tmp_path / "made")
    edit(tmp_path / "made", base_model_name_or_path=str(whole), init_ia3_weights=True)
    trace = txpanel.load(str(tmp_path / "made")).trace(IDS[0].tolist())
    assert torch.allclose(trace.tensor("logits"), by_peft(tmp_path / "made", whole)[-1], atol=1e-4)


def test_a_folder_with_model_and_adapter_says_which_runs(adapter: Path, whole: Path) -> None:
    plain, adapted = logits(AutoModelForCausalLM.from_pretrained(whole))[-1], by_peft(adapter, whole)[-1]
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(adapter / name, whole)
    both = txpanel.load(str(whole))
    assert both.source.note == "This folder holds a model and an adapter. The model runs with the adapter on it."
    assert torch.allclose(both.trace(IDS[0].tolist()).tensor("logits"), adapted, atol=1e-4)
    edit(whole, peft_type="LOHA")
    alone = txpanel.load(str(whole))
    assert "The model runs without the adapter." in alone.source.note
    assert "of the kind LOHA" in alone.source.note
    assert torch.allclose(alone.trace(IDS[0].tolist()).tensor("logits"), plain, atol=1e-4)


def test_transformers_still_loads_an_adapter_that_lies_beside_a_model(adapter: Path, whole: Path) -> None:
    """When this fails, `from_pretrained` leaves the adapter alone: drop txpanel/compat/adapter_beside.py."""
    plain = logits(AutoModelForCausalLM.from_pretrained(whole))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(adapter / name, whole)
    assert not torch.allclose(logits(AutoModelForCausalLM.from_pretrained(whole).eval()), plain, atol=0.1)


def test_where_no_links_may_be_made_the_files_are_copied(
    adapter: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows lets only administrators and developers make links."""

    def refused(self: Path, target: Path) -> None:
        raise OSError(22, "A required privilege is not held by the client")

    shutil.copy(adapter / "adapter_config.json", whole)
    monkeypatch.setattr(Path, "symlink_to", refused)
    with without_adapter(whole) as folder:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            path.name: path.read_bytes() for path in whole.iterdir() if path.name != "adapter_config.json"
        }
        assert folder != whole


def test_a_base_that_is_not_here_is_named(adapter: Path) -> None:
    edit(adapter, base_model_name_or_path="somebody/something-7b")
    with pytest.raises(
        ModelNotFound, match="only an adapter, for the model somebody/something-7b, which is not on this machine"
    ):
        txpanel.load(str(adapter))
    edit(adapter, base_model_name_or_path="gpt2")
    with pytest.raises(ModelNotFound, match="for the model gpt2, which is not on this machine"):
        txpanel.load(str(adapter))
    edit(adapter, base_model_name_or_path=None)
    with pytest.raises(BadFile, match="does not name the model"):
        txpanel.load(str(adapter))


def test_a_base_of_the_catalogue(adapter: Path) -> None:
    edit(adapter, base_model_name_or_path="nano")
    assert txpanel.load(str(adapter)).title.startswith("adapter (")
    assert NANO_FOLDER.is_dir()


WRONG: dict[str, tuple[dict[str, Any], type[TxpanelError], str]] = {
    "pattern": ({"target_modules": "(a+)+$"}, Unsupported, "“target_modules” as something other than plain names"),
    "patterns in a list": ({"exclude_modules": ["(a+)+$"]}, Unsupported, "“exclude_modules”"),
    "patterns as keys": ({"rank_pattern": {"(.*)+x": 3}}, Unsupported, "“rank_pattern”"),
    "other kind": ({"peft_type": "XLORA"}, Unsupported, "of the kind XLORA"),
    "other task": ({"task_type": "SEQ_CLS"}, Unsupported, "another task"),
    "base changed": ({"init_lora_weights": "pissa"}, Unsupported, "initialised with “pissa”"),
    "unknown setting": ({"layer_replication": [[0, 2]]}, Unsupported, "does not support: layer_replication"),
    "no modules of that name": ({"target_modules": ["nowhere"]}, BadFile, "does not fit its model"),
    "another rank": ({"r": 4}, BadFile, "3 weights|another shape"),
    "no kind": ({"peft_type": None}, BadFile, "what kind of adapter"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str, adapter: Path) -> None:
    change, kind, said = WRONG[case]
    edit(adapter, **change)
    with pytest.raises(kind, match=said):
        txpanel.load(str(adapter))


def _change(folder: Path, how: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    how(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def test_weights_that_are_not_whole(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    _change(adapter, lambda t: t.pop(sorted(t)[0]))
    with pytest.raises(BadFile, match="1 weight is missing, left over"):
        txpanel.load(str(adapter))
    save_file(tensors, adapter / "adapter_model.safetensors")
    _change(adapter, lambda t: t.update({sorted(t)[0]: t[sorted(t)[0]] * torch.nan}))
    with pytest.raises(BadFile, match="not numbers"):
        txpanel.load(str(adapter))
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(Unsupported, match=r"has no adapter_model.safetensors. Other formats can run code"):
        txpanel.load(str(adapter))
    save_file(tensors, adapter / "adapter_model.safetensors")
    monkeypatch.setattr(adapter_folder, "find_spec", lambda _name: None)
    with pytest.raises(Unsupported, match=r"is an adapter for .*peft, which is not installed"):
        txpanel.load(str(adapter))
    (adapter / "adapter_config.json").write_text("[", encoding="utf-8")
    with pytest.raises(BadFile, match="not valid JSON"):
        txpanel.load(str(adapter))
