"""One malloc heap for all threads: memory that one thread frees can be used by the others.

The GNU C library has a heap for each thread, and what is freed in one is not used in another. Replayed blocks of a model are
many, large, of ever another size, and made in several threads: after 300 tokens generated on the page a server with SmolLM2
held 4.9 GB, and with one heap for all of them 2.5 (`python -m benchmarks.timeline`). What a click takes stays the same.

Versions: any GNU C library with ``mallopt``.
Reason: memory of a server; the row "without shared_heap" of ``python -m benchmarks.replacements``.
Upstream: nowhere; an arena for each thread is what the C library wants, and a server of pages does not.
Test: tests/compat/test_shared_heap.py::test_what_one_thread_frees_serves_the_next
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["mend", "share"]

M_ARENA_MAX = -8


def mend() -> None:
    """For the process of a server."""
    share()


def share() -> bool:
    """One heap for all threads that begin from now on. Returns whether this C library can do it."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1))
    except (OSError, AttributeError):  # another C library than GNU's
        return False
