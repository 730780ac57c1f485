"""Memory that is free goes back to the system.

The GNU C library keeps large blocks for later once some were freed, in a heap of its own for each thread. Replayed blocks of a
model are many, large and of ever another size, so little of that is used again: after 300 tokens generated on the page a
server with SmolLM2 held 4.9 GB, and with this 2.2 (`python -m benchmarks.film`).
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back"]

M_MMAP_THRESHOLD = -3
LARGE = 128 * 1024
"""Bytes from which a block is borrowed by itself, and given back when it is freed: where the C library begins, before it learns."""


def give_back() -> bool:
    """For the whole process, from now on. Returns whether this C library can do it."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE))
    except (OSError, AttributeError):  # another C library than GNU's
        return False
