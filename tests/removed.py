"""A copy of the package without one of its views: neither the view's folder nor its entry point is there."""

from __future__ import annotations

import shutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import txpanel

PACKAGE = Path(txpanel.__file__).parent
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
    leave = shutil.ignore_patterns("*.po", "*.pot")  # compiled code comes along: it is that of the same sources
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
