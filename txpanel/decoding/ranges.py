"""The range of each sampling setting on the page, in its boxes and in its address. Needs no torch."""

from __future__ import annotations

import math
from typing import Any

from txpanel.decoding.stages import SPECS

__all__ = ["FARTHEST_SEED", "RANGES", "within"]

RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    **{spec.key: (spec.kind, spec.least, spec.most) for spec in SPECS},
    "seed": (int, 0, 2**52),
}
"""By setting: its type, and the least and the largest value that can be set on the page."""

FARTHEST_SEED = 2**53 - 1
"""Each generated token adds 1 to the seed, possibly beyond what can be typed; this is the largest integer that JavaScript holds exactly."""


def within(name: str, value: Any) -> int | float | None:
    """A number from a browser, moved into its setting's range; None if it is none."""
    kind, least, most = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return kind(min(max(value, least), most))
