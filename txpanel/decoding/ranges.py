"""How far each sampling setting can be turned on the page, in its boxes and in its address alike. Imports nothing: a page stands before torch."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["FARTHEST_SEED", "RANGES", "within"]

RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    "temperature": (float, 0.0, 100.0),
    "top_k": (int, 0, 10**7),
    "top_p": (float, 0.0, 1.0),
    "min_p": (float, 0.0, 1.0),
    "typical_p": (float, 1e-6, 1.0),
    "repetition_penalty": (float, 1e-3, 1e3),
    "no_repeat_ngram_size": (int, 0, 10**7),
    "seed": (int, 0, 2**52),
}
"""Type, least and most of what somebody can set."""

FARTHEST_SEED = 2**53 - 1
"""Each generated token moves the seed on, beyond what can be typed if need be. A browser counts so far without loss."""


def within(name: str, value: Any) -> int | float | None:
    """A number from a browser, moved into its setting's range; None if it is none."""
    kind, least, most = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return kind(min(max(value, least), most))
