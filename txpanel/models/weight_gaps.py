"""Checks that a model that transformers has loaded is the one in the files: no weight random, none left out, none NaN or infinite.

transformers fills weights that are missing with random numbers, drops those that it has no place for, and casts integers to floats, each with no
more than a line in a log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _, plural
from txpanel.models.masked_tokens import predicts_masked_tokens
from txpanel.models.sources import folder as local

FLOATS = ("F64", "F32", "F16", "BF16")
"""Types of weights in the files that are numbers as they stand."""


def refuse_gaps(folder: Path, info: dict[str, Any], model: Any) -> None:
    """Compare what was loaded with what the files hold.

    Args:
        folder: where the files are. info: transformers' loading info. model: the loaded model.

    Raises:
        BadFile: a weight is missing, of another shape, there twice or holds what is no number. Unsupported: one that the model has no place for,
            or that is packed in a way that nothing here unpacks.
    """
    unlike = [key if isinstance(key, str) else key[0] for key in info.get("mismatched_keys") or ()]  # with both shapes
    gaps = sorted(info.get("missing_keys") or ()) + sorted(unlike)
    if gaps:
        words = plural(
            "{folder} is incomplete: {n} weight is missing or of another shape, {first}.",
            "{folder} is incomplete: {n} weights are missing or of another shape, the first is {first}.",
            len(gaps),
        )
        raise BadFile(words.format(folder=folder, n=len(gaps), first=gaps[0]))
    stored = _stored(folder)
    masked, unexpected = predicts_masked_tokens(model), info.get("unexpected_keys") or ()
    beyond = sorted(key for key in unexpected if not _is_constant(key, stored.get(key, {}), masked))
    if beyond:
        words = plural(
            "{folder} has {n} weight that a {family} model of transformers has no place for, {first}. Without it, "
            "the numbers would be wrong.",
            "{folder} has {n} weights that a {family} model of transformers has no place for, the first is {first}. "
            "Without them, the numbers would be wrong.",
            len(beyond),
        )
        raise Unsupported(words.format(folder=folder, n=len(beyond), first=beyond[0], family=model.config.model_type))
    if getattr(model, "hf_quantizer", None) is None:
        _refuse_packed(folder, stored, model)
    _refuse_no_numbers(folder, model)


def _stored(folder: Path) -> dict[str, dict[str, Any]]:
    """Type and shape of each tensor in the files, by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in local.weights(folder):
        for name, entry in local.table(path).items():
            if name in found:
                raise BadFile(
                    _("{folder} is damaged: the weight {name} is in two of its files.").format(folder=folder, name=name)
                )
            found[name] = entry
    return found


def _is_constant(key: str, entry: dict[str, Any], masked: bool) -> bool:
    """Whether a tensor is a constant that old checkpoints hold and the code computes itself: causal masks, rotary frequencies, position ids.

    Args:
        masked: whether the model fills gaps; then also the head of its other task (next sentence prediction), which is not used.
    """
    shape = entry.get("shape", [])
    if masked and ("pooler." in key or key.startswith(("cls.seq_relationship.", "sop_classifier."))):
        return True
    if key.endswith(("rotary_emb.inv_freq", "masked_bias", "position_ids")):
        return True
    mask = len(shape) == 4 and shape[:2] == [1, 1] and shape[2] == shape[3]
    return mask and key.endswith((".attn.bias", ".attention.bias", ".attn.attention.bias"))


def _refuse_packed(folder: Path, stored: dict[str, dict[str, Any]], model: Any) -> None:
    """Refuse integers and 8-bit floats where a weight is to be: without the way to unpack them they are other numbers."""
    for name, parameter in model.named_parameters():
        kind = stored.get(name, {}).get("dtype", "F32")
        if parameter.is_floating_point() and kind not in FLOATS:
            text = _(
                "{folder} stores the weight {name} as {kind} and does not say how to unpack it, so its numbers would be "
                "wrong."
            )
            raise Unsupported(text.format(folder=folder, name=name, kind=kind))


def _refuse_no_numbers(folder: Path, model: Any) -> None:
    """Refuse weights that are NaN or infinite."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.element_size() > 1 and parameter.numel():
            low, high = parameter.detach().aminmax()  # both are NaN if any number is
            if not bool((high - low).isfinite()) and not bool(parameter.detach().isfinite().all()):
                text = _("{folder} is damaged: the weight {name} holds values that are NaN or infinite.")
                raise BadFile(text.format(folder=folder, name=name))
