"""From logits to the next token: every stage over the whole vocabulary, and the draw itself.

The stages are transformers' own processors in the order in which ``generate`` applies them (`stages.py`); the draw is
a number from the seed that falls on a bar of probabilities (`bar.py`).
"""

from __future__ import annotations

from txpanel.decoding.cumulative import Draw, uniform
from txpanel.decoding.presets import PRESETS, own_settings
from txpanel.decoding.sampling import STAGES, Logits, Sample, Stage, pipeline, sample
from txpanel.decoding.settings import FIELDS, Settings

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
