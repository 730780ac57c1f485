"""Rotary positions of a GGUF file, as transformers' configuration says them.

In long-context models the angles grow more slowly than the base says. GGUF has four ways to state that: a factor (linear),
YaRN (Peng et al. 2023, arXiv:2309.00071),
a tensor with a factor for each frequency (Llama 3), and two such tensors for short and long texts (LongRoPE, Ding et al. 2024, arXiv:2402.13753).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _
from txpanel.models.sources.gguf_content import Content

FREQS, LONG, SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"


def rope(content: Content, theta: float, context: int, pairs: int) -> dict[str, Any]:
    """`rope_parameters` of a configuration; takes the settings and the tensors that say it.

    Args:
        theta: the base where the file states none. context: tokens that the model was built for. pairs: how many pairs of a head are rotated.

    Raises:
        Unsupported: it is scaled in a way that is not known here. BadFile: with numbers that make no sense.
    """
    base = content.number("rope.freq_base", theta)
    old = content.number("rope.scale_linear", 1.0, least=0)
    stated = content.take("rope.scaling.type")
    factor = content.number("rope.scaling.factor", old, least=0) or 1.0
    original = content.count("rope.scaling.original_context_length", 0, least=0) or None
    attention = content.number("rope.scaling.attn_factor", 1.0)
    kind = str(stated or "linear")
    found = {name: _factors(content, name, pairs) for name in (FREQS, LONG, SHORT) if name in content.tensors}
    parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": base}
    if LONG in found or SHORT in found or kind == "longrope":
        return parameters | _longrope(content, found, original, attention, context, stated)
    if kind == "yarn":
        parameters |= _yarn(content, factor, original, attention, context)
    elif kind == "linear" and factor != 1.0:
        parameters |= {"rope_type": "linear", "factor": factor}
    elif kind not in ("none", "linear"):
        raise Unsupported(
            _("{path}: txpanel does not support positions scaled by “{kind}”.").format(path=content.path, kind=kind)
        )
    if kind != "yarn" and attention != 1.0:
        raise _together(content)
    if FREQS in found and not bool((found[FREQS] == 1).all()):
        if parameters["rope_type"] != "default":
            raise _together(content)
        parameters |= _by_frequency(found[FREQS], base, context)
    return parameters


def _together(content: Content) -> Unsupported:
    return Unsupported(
        _("{path}: its positions are scaled in two ways at once, which txpanel does not support.").format(
            path=content.path
        )
    )


def _factors(content: Content, name: str, pairs: int) -> npt.NDArray[np.float32]:
    tensor = content.tensors[name]
    if tensor.tensor_type.name != "F32":
        raise Unsupported(_("{path}: {name} is not stored as F32.").format(path=content.path, name=name))
    found = np.array(tensor.data, np.float32).reshape(-1)
    if len(found) != pairs or not bool((np.isfinite(found) & (found > 0)).all()):
        text = _("{path} is damaged: {name} has to have a number above 0 for each of the {n} pairs that are rotated.")
        raise BadFile(text.format(path=content.path, name=name, n=pairs))
    return found


def _written(factors: npt.NDArray[np.float32]) -> list[float]:
    return [float(str(factor)) for factor in factors]


def _yarn(content: Content, factor: float, original: int | None, attention: float, context: int) -> dict[str, Any]:
    found: dict[str, Any] = {"rope_type": "yarn", "factor": factor}
    found["original_max_position_embeddings"] = original or context  # where none is stated, llama.cpp takes this, too
    for key, name in (("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")):
        if content.take(f"rope.scaling.{key}") is not None:
            found[name] = content.number(f"rope.scaling.{key}")
    # llama.cpp multiplies by these beside YaRN's own 0.1 ln(factor) + 1, which transformers has as well
    others = [content.take(f"rope.scaling.{key}", 1.0) for key in ("yarn_attn_factor", "yarn_ext_factor")]
    if any(other != 1.0 for other in [attention, *others]):
        raise _together(content)
    return found


def _longrope(
    content: Content,
    found: dict[str, npt.NDArray[np.float32]],
    original: int | None,
    attention: float,
    context: int,
    stated: Any,
) -> dict[str, Any]:
    if (
        LONG not in found
        or SHORT not in found
        or FREQS in found
        or stated not in (None, "longrope", "none", "linear")
        or not original
    ):
        text = _(
            "{path}: positions for long texts need the tensors {long} and {short} and the length that they were trained for."
        )
        raise Unsupported(text.format(path=content.path, long=LONG, short=SHORT))
    return {
        "rope_type": "longrope", "long_factor": _written(found[LONG]), "short_factor": _written(found[SHORT]),
        "original_max_position_embeddings": original, "factor": context / original,
        "attention_factor": attention,
    }  # fmt: skip


def _by_frequency(factors: npt.NDArray[np.float32], base: float, context: int) -> dict[str, Any]:
    """A factor for each frequency: Llama 3's rule where one gives these factors, else the factors themselves, for texts of every length."""
    found = _llama3(factors.astype(np.float64), base)
    if found is not None:
        return found
    written = _written(factors)
    return {
        "rope_type": "longrope", "long_factor": written, "short_factor": written, "factor": 1.0,
        "original_max_position_embeddings": context, "attention_factor": 1.0,
    }  # fmt: skip


def _llama3(factors: npt.NDArray[np.float64], base: float) -> dict[str, Any] | None:
    """Llama 3's rule: slow frequencies divided by a factor, fast ones left, those between on a straight line; only ratios of its limits matter."""
    most = float(factors.max())
    waves = 2 * np.pi * base ** (np.arange(len(factors)) / len(factors))  # length of each wave in tokens
    between = (factors > 1 + 1e-6) & (factors < most * (1 - 1e-6))
    if most <= 1 or int(between.sum()) < 2:
        return None
    share = (1 / factors[between] - 1 / most) / (1 - 1 / most)  # = (original / wave - low) / (high - low)
    slope, start = np.polyfit(1 / waves[between], share, 1)
    if start >= 0:
        return None
    high, original = 1 - 1 / start, -slope / start
    exact = next((low for low in (1, 2, 4) if abs(original * low - round(original * low)) < 1e-3 * low), 1)
    high, original, low = round(high * exact, 4), round(original * exact), float(exact)
    again = np.clip((original / waves - low) / (high - low), 0, 1)
    if np.abs(1 / (again + (1 - again) / most) / factors - 1).max() > 2e-6:
        return None
    return {
        "rope_type": "llama3", "factor": round(most, 6), "low_freq_factor": low, "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }  # fmt: skip
