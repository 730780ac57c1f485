"""From logits to the next token, as scripts and notebooks use it: `pipeline` and what it gives. Its rooms are in `txpanel.decoding`."""

from __future__ import annotations

from txpanel.decoding import (
    FIELDS,
    PRESETS,
    STAGES,
    Draw,
    Logits,
    Sample,
    Settings,
    Stage,
    own_settings,
    pipeline,
    sample,
    uniform,
)

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
