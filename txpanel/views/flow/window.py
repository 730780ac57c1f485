"""Which tokens of a long text have lanes on screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LANES", "WINDOW", "Window"]

LANES = 40
"""Texts up to this many tokens get a lane for every token."""
WINDOW = 28
"""Longer texts show this many lanes at a time."""


@dataclass(frozen=True)
class Window:
    """The lanes on screen: tokens `start` to ``start + count - 1`` of `total`."""

    start: int
    count: int
    total: int

    @classmethod
    def around(cls, total: int, query: int, start: int | None = None) -> Window:
        """All tokens of a short text; else a window that begins at `start`, or ends a few lanes behind `query`."""
        if total <= LANES:
            return cls(0, total, total)
        first = min(query + 1 + WINDOW // 4, total) - WINDOW if start is None else start
        return cls(int(np.clip(first, 0, total - WINDOW)), WINDOW, total)

    @property
    def rows(self) -> slice:
        """The window as a slice over the token axis."""
        return slice(self.start, self.start + self.count)

    def holds(self, token: int) -> bool:
        """Whether the token has a lane."""
        return self.start <= token < self.start + self.count
