"""How far each sampling setting can be turned on the page, in its boxes and in its address alike. Needs no torch."""

from __future__ import annotations

import math
from typing import Any

from txpanel.decoding.stages import SPECS

__all__ = ["FARTHEST_SEED", "RANGES", "within"]

RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    **{spec.key: (spec.kind, spec.least, spec.most) for spec in SPECS},
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
