"""Gives free memory back to the system (``malloc_trim``).

The GNU C library keeps what was freed, unless it lies at the very end of the heap; with one heap for all threads (`shared_heap`) it nearly never
does. After a class has left, a server would hold for ever what it held at the busiest moment. ``malloc_trim`` also gives back whole free pages from
the middle.

The C library does not say how much there is to give back: what it calls free it may have given back already. But the process's resident memory
less what the C library says is in use is the free memory that is still held, plus what Python and others have mapped by themselves; so the growth
of that difference is the growth of free memory that is still held.

Versions: any GNU C library from 2.8 on; how much there is: from 2.33 on, which has ``mallinfo2``.
Reason: memory of a server that stands open; measured by ``python -m benchmarks.soak``.
Upstream: nowhere; the C library leaves it to the program to say when it is worth the time.
Test: tests/compat/test_given_back.py::test_what_is_free_in_the_middle_is_given_back
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["give_back", "not_in_use", "resident"]

FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Info(ctypes.Structure):
    """``struct mallinfo2``: of all, only `uordblks` (bytes in use in heaps) and `hblkhd` (mapped by themselves) are read."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


def give_back() -> bool:
    """Gives free pages back to the system. Returns whether there were some; False too where this C library can't do it."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):  # another C library than GNU's
        return False


def resident() -> int | None:
    """Bytes of memory of the process's own (not of files) that are there, as the system counts them: 20 us. None where it doesn't say so."""
    try:
        _all, there, of_files = Path("/proc/self/statm").read_text(encoding="ascii").split()[:3]
    except (OSError, ValueError):
        return None
    return (int(there) - int(of_files)) * os.sysconf("SC_PAGE_SIZE")


def not_in_use() -> int | None:
    """Bytes of `resident` that the C library does not count as in use; None where one of both can't be told.

    It goes through all free blocks, 4 ms for 25,000 of them, in which no other thread gets memory.
    """
    there, ask = resident(), _mallinfo()
    if there is None or ask is None:
        return None
    found = ask()
    return int(there - found.uordblks - found.hblkhd)


@cache
def _mallinfo() -> Any:
    if sys.platform != "linux":
        return None
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):  # another C library than GNU's, or an older one
        return None
    ask.restype = _Info
    return ask
