"""A built-in view is its folder and its entry-point line: without both, the page and all other views go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import txpanel

PACKAGE = Path(txpanel.__file__).parent
PROGRAM = Path(__file__).parent / "without_view.py"
OWN = {
    entry.name: entry
    for entry in entry_points(group="txpanel.views")
    if entry.dist is not None and entry.dist.name == "txpanel"
}


def folder_of(entry: EntryPoint) -> str:
    return entry.module.split(".")[2]


def copy_without(place: Path, name: str) -> Path:
    """The package in a folder, without one view's folder and entry point."""
    gone = folder_of(OWN[name])
    views = PACKAGE / "views"
    leave = shutil.ignore_patterns("__pycache__", "*.po", "*.pot")
    shutil.copytree(
        PACKAGE,
        place / "txpanel",
        ignore=lambda folder, names: leave(folder, names) | ({gone} if Path(folder) == views else set()),
    )
    info = place / "txpanel-9.9.dist-info"
    info.mkdir()
    lines = [f"{entry.name} = {entry.value}" for entry in OWN.values() if entry.name != name]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: txpanel\nVersion: 9.9\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(["[txpanel.views]", *lines]), encoding="utf-8")
    return place


def test_without_any_one_of_the_views_the_rest_works(tmp_path: Path) -> None:
    places = {name: str(copy_without(tmp_path / name, name)) for name in OWN}
    assert len(places) == 8
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
        assert (found["failed"], found["unbuilt"], found["error"]) == ({}, [], None), name
        assert name not in {*found["targets"], *found["tabs"]}
        assert set(found["targets"]) <= set(found["tabs"])
        assert found["first"] == ("attention" if name != "attention" else "embedding")
        assert OWN[name].attr not in found["classes"]
        assert found["models"] > 50
