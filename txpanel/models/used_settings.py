"""Which settings of a config a model's code really reads: one that it never reads must not be shown.

A name counts as read where the code of a pass names it: as an attribute, an argument or a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import unwrap
from types import CodeType
from typing import Any

from torch import nn

__all__ = ["logit_scale", "logit_softcap", "reads"]

SOFTCAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""What families call the soft-cap of logits."""


def reads(module: nn.Module, name: str) -> bool:
    """Whether a module's pass (or that of the class it extends and calls) names a setting."""
    return any(_named(code, name) for code in _passes(module))


def _passes(module: nn.Module) -> Iterator[CodeType]:
    """The code of a module's ``forward``, and of those that it calls by ``super()``."""
    for kind in type(module).__mro__:
        forward = vars(kind).get("forward")
        if forward is None or kind is nn.Module:
            continue
        code = unwrap(forward).__code__
        yield code
        if "super" not in code.co_names:
            return


def _named(code: CodeType, name: str) -> bool:
    if name in code.co_names or name in code.co_varnames:
        return True
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and _named(constant, name):
            return True
        if constant == name or (isinstance(constant, tuple) and name in constant):
            return True
    return False


def logit_scale(model: nn.Module, config: Any) -> float:
    """The factor on a model's logits: 1 where its pass has none, whatever the config says."""
    if reads(model, "logits_scaling") and (scaling := _value(model, config, "logits_scaling")):
        return 1.0 / scaling
    if reads(model, "scale_decoder_outputs") and getattr(config, "scale_decoder_outputs", False):  # T5
        return float(config.d_model) ** -0.5
    return (_value(model, config, "logit_scale") or 1.0) if reads(model, "logit_scale") else 1.0


def logit_softcap(model: nn.Module, config: Any) -> float | None:
    """The soft-cap of a model's logits: ``None`` where its pass has none, whatever the config says."""
    name = next((name for name in SOFTCAPS if reads(model, name)), None)
    return _value(model, config, name) if name is not None else None


def _value(model: nn.Module, config: Any, name: str) -> float | None:
    """As the module keeps it, or else as the config says."""
    found = getattr(model, name, None)
    found = getattr(config, name, None) if found is None else found
    return float(found) if found is not None else None
