"""Torch's threads, by the thread that asks; in a process of its own, since this cannot be taken back."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
import torch
from txpanel.models.threads import one_thread_here

torch.set_num_threads(3)
found = {}
def look(name):
    found[name] = torch.get_num_threads()
def page():
    look("page before")
    one_thread_here()
    look("page")
    begun = threading.Thread(target=look, args=("begun later",))
    begun.start()
    begun.join()
    look("page still")
asks = threading.Thread(target=page)
asks.start()
asks.join()
look("main")
print(found)
"""


def test_only_the_thread_that_asks_computes_alone() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    expected = {"page before": 3, "page": 1, "begun later": 3, "page still": 1, "main": 3}
    assert said.stdout.strip() == str(expected)
