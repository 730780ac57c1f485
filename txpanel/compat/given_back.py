"""Memory that is free is given back to the system.

The GNU C library keeps what was freed, unless it lies at the very end of the heap; with one heap for all threads (`shared_heap`) it nearly never
does. After a class has gone home a server would hold for ever what it held at the busiest moment. ``malloc_trim`` gives back whole free pages from
the middle, too.

Versions: any GNU C library from 2.8 on.
Reason: memory of a server that stands open; measured by ``python -m benchmarks.soak``.
Upstream: nowhere; the C library leaves it to the program to say when it is worth the time.
Test: tests/compat/test_given_back.py::test_what_is_free_in_the_middle_is_given_back
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back"]


def give_back() -> bool:
    """Gives free pages back to the system. Returns whether there were some; False too where this C library can't do it."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):  # another C library than GNU's
        return False
