"""Free memory goes back to the system: counted in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

from txpanel.compat.given_back import give_back

FREED = """
import re
from txpanel.compat.given_back import give_back
rss = lambda: int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
before = rss()
blocks = [bytearray(100_000) for _ in range(600)]
pin = bytearray(100_000)  # behind them, as large as they are (a small one fits into a hole before them): the heap can't shrink by itself
blocks.clear()
kept = rss() - before
assert give_back()
print(kept, rss() - before)
"""


def test_what_is_free_in_the_middle_is_given_back() -> None:
    if platform.libc_ver()[0] != "glibc":
        assert not give_back()
        return
    run = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=60)
    kept, left = map(int, run.stdout.split())
    assert kept > 40  # else the C library gives back by itself: drop `given_back`
    assert left < 15
