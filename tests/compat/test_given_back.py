"""Free memory goes back to the system: counted in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

from txpanel.compat.given_back import give_back, not_in_use

FREED = """
import re
from txpanel.compat.given_back import give_back, not_in_use, resident
rss = lambda: int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
before = rss()
free = not_in_use()
blocks = [bytearray(100_000) for _ in range(600)]
used = not_in_use()
pin = bytearray(100_000)  # behind them, as large as they are (a small one fits into a hole before them): the heap can't shrink by itself
blocks.clear()
kept = rss() - before
loose = not_in_use()
assert give_back()
print(kept, rss() - before)
print(*[(found - free) // 2**20 for found in (used, loose, not_in_use())], abs(resident() // 2**20 - rss()) < 2**6)
"""


def test_what_is_free_in_the_middle_is_given_back() -> None:
    if platform.libc_ver()[0] != "glibc":
        assert not give_back()
        assert not_in_use() is None
        return
    run = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=60)
    first, second = run.stdout.splitlines()
    kept, left = map(int, first.split())
    assert kept > 40  # else the C library gives back by itself: drop `given_back`
    assert left < 15
    *seen, near = second.split()
    used, loose, given = map(int, seen)
    assert abs(used) < 10  # what is in use is not among what is not
    assert loose > 40
    assert abs(given) < 15
    assert near == "True"
