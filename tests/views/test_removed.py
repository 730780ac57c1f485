"""A built-in view is its folder and its entry-point line: without both, the page and all other views go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.removed import OWN, copy_without
from tests.sweeping import apart

PROGRAM = Path(__file__).parent / "without_view.py"


@pytest.mark.sweep
@pytest.mark.parametrize(
    "gone", [["attention"], apart([name for name in OWN if name != "attention"])], ids=["attention", "others"]
)
def test_without_any_one_of_the_views_the_rest_works(tmp_path: Path, gone: list[str]) -> None:
    places = {name: str(copy_without(tmp_path / name, name)) for name in gone}
    assert len(OWN) == 8
    environment = {**os.environ, "TXPANEL_PLUGINS": "none", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *places.values()], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    ids = list(OWN)
    for name, place in places.items():
        found = answers[place]
        assert "raised" not in found, f"without {name}: {found['raised']}"
        assert set(found["views"]) == set(ids) - {name}
        assert (found["failed"], found["error"]) == ({}, None), name
        assert (
            len(found["built"]) >= 3
        )  # the one that is unfolded, another, and the card; besides, where it is there, the flow
        assert name not in {*found["targets"], *found["tabs"]}
        assert set(found["targets"]) <= set(found["tabs"])
        assert found["first"] == ("attention" if name != "attention" else "embedding")
        assert OWN[name].attr not in found["classes"]
        assert found["models"] > 50
