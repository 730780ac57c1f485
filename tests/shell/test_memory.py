"""Memory that is free goes back to the system: counted in a process of its own, with and without."""

from __future__ import annotations

import platform
import subprocess
import sys

from txpanel.shell.memory import give_back

HELD = """
import re
from txpanel.shell.memory import give_back
if {mended}:
    assert give_back()
rss = lambda: int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
first = bytearray(4 << 20)
del first  # from now on blocks of this size come from the heap, without the mend
before, blocks, between = rss(), [], []
for _ in range(100):
    blocks.append(bytearray(2 << 20))
    between.append(bytes(2000))
del blocks[:-1]
print(rss() - before)
"""


def held(mended: bool) -> int:
    """MB that a process still holds after it has freed 198 MB of 200."""
    code = HELD.format(mended=mended)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return int(run.stdout)


def test_freed_blocks_are_given_back() -> None:
    if platform.libc_ver()[0] != "glibc":  # only GNU's C library keeps such blocks
        assert not give_back()
        return
    assert held(mended=True) < 20
    assert held(mended=False) > 100
