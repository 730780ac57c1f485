"""A folder with an adapter of peft: which base it belongs to, and how it is put on it, without pickles and without its own patterns.

Only settings that are known to be harmless are taken from adapter_config.json: names of modules are names, not regular expressions, and
nothing of it is imported, fetched or run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _, plural
from txpanel.models.sources import folder as local

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAME = re.compile(r"[A-Za-z_][\w.-]*")
TAKEN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "LORA": {
        "r": int, "lora_alpha": (int, float), "fan_in_fan_out": bool, "use_rslora": bool, "use_dora": bool, "lora_bias": bool, "bias": str,
        "target_modules": list, "modules_to_save": list, "exclude_modules": list, "layers_to_transform": list, "rank_pattern": dict, "alpha_pattern": dict,
    },
    "IA3": {"fan_in_fan_out": bool, "target_modules": list, "feedforward_modules": list, "modules_to_save": list, "exclude_modules": list},
}  # fmt: skip
"""By kind of adapter: the settings that are used, and their types."""
OFF: dict[str, frozenset[str]] = {
    "LORA": frozenset(
        {
            "base_model_name_or_path", "revision", "peft_type", "task_type", "inference_mode", "auto_mapping", "peft_version", "lora_dropout",
            "init_lora_weights", "loftq_config", "megatron_core", "ensure_weight_tying", "qalora_group_size", "runtime_config", "layers_pattern",
        }
    ),
    "IA3": frozenset({"base_model_name_or_path", "revision", "peft_type", "task_type", "inference_mode", "auto_mapping", "peft_version", "init_ia3_weights"}),
}  # fmt: skip
"""Settings that have no effect on a trained adapter."""
PLAIN_START = (True, False, "gaussian", "orthogonal")
"""Initialisations that leave the base model's weights as they are (PiSSA, OLoRA, EVA and others change them)."""


def is_adapter(folder: Path) -> bool:
    """Whether an adapter lies in a folder, with or without a model."""
    return (folder / CONFIG).is_file()


def settings(folder: Path) -> dict[str, Any]:
    """The content of adapter_config.json."""
    path = folder / CONFIG
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(_("{path} is damaged: it is not valid JSON.").format(path=path)) from error
    if not isinstance(content, dict) or not isinstance(content.get("peft_type"), str):
        raise BadFile(_("{path} does not say what kind of adapter it is.").format(path=path))
    return content


def base_name(folder: Path) -> str:
    """The model that an adapter was trained for, as its file names it.

    Raises:
        BadFile: it names none.
    """
    name = settings(folder).get("base_model_name_or_path")
    if not isinstance(name, str) or not name.strip():
        raise BadFile(
            _(
                "{folder} holds only an adapter and does not name the model that it belongs to. Load that model, put the adapter on it with peft, "
                "and open it with LanguageModel.wrap."
            ).format(folder=folder)
        )
    return name.strip()


def check(folder: Path) -> None:
    """Raise a sentence unless the adapter can be put on a model here.

    Raises:
        BadFile, Unsupported: in words.
    """
    configuration(folder)
    if not (folder / WEIGHTS).is_file():
        raise Unsupported(
            _(
                "The adapter in {folder} has no {file}. Other formats can run code when they are opened and are refused; load it where you trust it "
                "and save it again with save_pretrained(...)."
            ).format(folder=folder, file=WEIGHTS)
        )
    local.check_safetensors(folder / WEIGHTS)
    if find_spec("peft") is None:
        raise Unsupported(
            _(
                "{folder} is an adapter for {base}, and putting it on takes the package peft, which is not installed: pip install peft"
            ).format(folder=folder, base=base_name(folder))
        )


def configuration(folder: Path) -> tuple[str, dict[str, Any]]:
    """Kind of the adapter (``LORA``, ``IA3``), and its settings as far as they are taken.

    Raises:
        BadFile, Unsupported: in words.
    """
    content = settings(folder)
    kind = content["peft_type"]
    if kind not in TAKEN:
        raise Unsupported(
            _("The adapter in {folder} is of the kind {kind}; LoRA, DoRA and IA3 are opened from folders.").format(
                folder=folder, kind=kind[:60]
            )
        )
    if content.get("task_type") not in (None, "CAUSAL_LM"):
        raise Unsupported(
            _("The adapter in {folder} is not for continuing a text but for another task ({task}).").format(
                folder=folder, task=str(content["task_type"])[:60]
            )
        )
    if content.get("init_lora_weights", True) not in PLAIN_START:
        raise Unsupported(
            _(
                "The adapter in {folder} was initialised with “{name}”, which changes the base model's own weights."
            ).format(folder=folder, name=str(content["init_lora_weights"])[:60])
        )
    taken = {name: content[name] for name in TAKEN[kind] if content.get(name) not in (None, [], {})}
    for name, value in taken.items():
        _check_setting(folder, name, value, TAKEN[kind][name])
    left = [name for name, value in content.items() if value and name not in TAKEN[kind] and name not in OFF[kind]]
    if left:
        raise Unsupported(
            _("The adapter in {folder} has a setting that txpanel does not support: {name}.").format(
                folder=folder, name=left[0][:60]
            )
        )
    return kind, taken


def _check_setting(folder: Path, name: str, value: Any, kind: type | tuple[type, ...]) -> None:
    names = list(value) if isinstance(value, (list, dict)) else []
    numbers = name == "layers_to_transform"
    right = isinstance(value, kind) and all(isinstance(one, int) if numbers else _is_name(one) for one in names)
    if isinstance(value, dict):
        right = right and all(isinstance(one, (int, float)) for one in value.values())
    if name == "bias":
        right = value in ("none", "all", "lora_only")
    if not right:
        raise Unsupported(
            _(
                "The adapter in {folder} gives “{name}” as something other than plain names or numbers, which txpanel "
                "does not support."
            ).format(folder=folder, name=name)
        )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def put_on(model: Any, folder: Path) -> Any:
    """Put the adapter of a folder on its base model; ``peft.PeftModelForCausalLM``.

    Raises:
        BadFile: weights are missing, left over or of another shape. Unsupported: in words.
    """
    check(folder)
    kind, taken = configuration(folder)
    peft, files = import_module("peft"), import_module("safetensors.torch")
    try:
        config = {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[kind](
            **taken, task_type="CAUSAL_LM", inference_mode=True
        )
        made = peft.get_peft_model(model, config)
        given = files.load_file(folder / WEIGHTS)
        if not all(bool(tensor.isfinite().all()) for tensor in given.values()):
            raise BadFile(_("The adapter in {folder} has weights that are not numbers.").format(folder=folder))
        _compare(folder, given, peft.get_peft_model_state_dict(made, save_embedding_layers=False))
        peft.set_peft_model_state_dict(made, given)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise BadFile(
            _("The adapter in {folder} does not fit its model: {reason}").format(folder=folder, reason=reason)
        ) from error
    return made.eval()


def _compare(folder: Path, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse an adapter unless its weights are exactly those that the model needs: none stays random, none is left out."""
    wrong = sorted({*given} ^ {*wanted}) or sorted(name for name in given if given[name].shape != wanted[name].shape)
    if wrong:
        words = plural(
            "The adapter in {folder} does not fit its model: {n} weight is missing, left over or of another shape, {first}.",
            "The adapter in {folder} does not fit its model: {n} weights are missing, left over or of another shape, the first is {first}.",
            len(wrong),
        )
        raise BadFile(words.format(folder=folder, n=len(wrong), first=wrong[0]))
