"""The stages from the model's logits to the draw: one file each, with its rule for the browser in the ``.js`` beside it.

A new stage is a file here that holds ``STAGE``, its ``.js`` and its tests; settings, links, boxes, sliders and cards
follow from `SPECS`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from txpanel.decoding.stage_spec import StageSpec
from txpanel.messages import _

__all__ = ["SPECS", "for_browser", "stage_label"]


def _declared() -> tuple[StageSpec, ...]:
    found = (import_module(f"{__name__}.{module.name}").STAGE for module in iter_modules(__path__))
    return tuple(sorted(found, key=lambda spec: spec.order))


SPECS: tuple[StageSpec, ...] = _declared()
"""All declared stages, in the order in which they work."""


def stage_label(name: str) -> str:
    """What the page calls a stage: one of `SPECS`, or the first (``"logits"``) and the last (``"renormalise"``)."""
    ends = {"logits": _("logit"), "renormalise": _("renormalise")}
    return ends[name] if name in ends else next(spec.words().label for spec in SPECS if spec.key == name)


def for_browser() -> list[dict[str, Any]]:
    """The declarations as the browser gets them, in their order."""
    return [spec.for_browser() for spec in SPECS]
