"""From logits to text: stages over the whole vocabulary, the draw, generation token by token, beam search.

Names are imported when they are first used: a page reads the ranges of the settings before torch is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "FIELDS": "settings",
    "PRESETS": "presets",
    "STAGES": "sampling",
    "Draw": "cumulative",
    "Logits": "sampling",
    "Sample": "sampling",
    "Settings": "settings",
    "Stage": "sampling",
    "own_settings": "presets",
    "pipeline": "sampling",
    "sample": "sampling",
    "uniform": "cumulative",
}

__all__ = [
    "FIELDS",
    "PRESETS",
    "STAGES",
    "Draw",
    "Logits",
    "Sample",
    "Settings",
    "Stage",
    "own_settings",
    "pipeline",
    "sample",
    "uniform",
]

if TYPE_CHECKING:
    from txpanel.decoding.cumulative import Draw, uniform
    from txpanel.decoding.presets import PRESETS, own_settings
    from txpanel.decoding.sampling import STAGES, Logits, Sample, Stage, pipeline, sample
    from txpanel.decoding.settings import FIELDS, Settings


def __getattr__(name: str) -> Any:
    """Import a name on its first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'txpanel.decoding' has no attribute {name!r}")
    return getattr(import_module(f"txpanel.decoding.{_PUBLIC[name]}"), name)
