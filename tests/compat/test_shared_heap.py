"""Memory that one thread frees serves the others: counted in a process of its own, with and without."""

from __future__ import annotations

import platform
import subprocess
import sys

from txpanel.compat.shared_heap import share

HELD = """
import re, threading
from txpanel.compat.shared_heap import share
if {mended}:
    assert share()
rss = lambda: int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
before, pins, end = rss(), [], threading.Event()

def work(done):
    blocks = [bytearray(100_000) for _ in range(400)]
    pins.append(bytes(2000))  # behind them: the heap can't shrink
    del blocks
    done.set()
    end.wait()

for _ in range(6):
    done = threading.Event()
    threading.Thread(target=work, args=(done,)).start()
    done.wait()
print(rss() - before)
end.set()
"""


def held(mended: bool) -> int:
    """MB that a process holds after six threads have each used and freed 40, one after the other."""
    code = HELD.format(mended=mended)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return int(run.stdout)


def test_what_one_thread_frees_serves_the_next() -> None:
    if platform.libc_ver()[0] != "glibc":  # only GNU's C library has a heap for each thread
        assert not share()
        return
    assert held(mended=True) < 70
    assert held(mended=False) > 100  # else the C library shares by itself: drop `shared_heap`
