"""From benchmarks/results.json to docs/benchmarks.md and its plots: ``python -m benchmarks.report``."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from benchmarks.tables import FACTORS, UNITS, Table, heading

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
REPORT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "images" / "benchmarks"

OURS, THEIRS = "#7c3aed", "#9aa8bd"

HEAD = """# Side by side

Written by `python -m benchmarks` on {date} and generated from [benchmarks/results.json](../benchmarks/results.json).

{what}, {clock}, {rounds} rounds, {threads}, Python {python}, {machine}; {versions}.

B-03b, B-07b, B-10 to B-10c, B-13b and R-01 to R-04 are measured by `python -m benchmarks.page`, `benchmarks.timeline`, `benchmarks.start`, `benchmarks.tabs`,
`benchmarks.drag` and `benchmarks.replacements`, which say with what.

All cases of any other table run in turn in one process (A, B, C, A, B, C, ...), after a check that their numbers agree. On a shared machine trust the
ratios, the bytes and the counts, not the milliseconds. The identifiers are those of the project's list of comparisons.
"""


def missing() -> list[str]:
    """What the extra `bench` brings and is not here: without it the tables of everybody else would be overwritten with gaps."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = (Requirement(one).name for one in project["optional-dependencies"]["bench"])
    return [name for name in wanted if not is_installed(name)]


def is_installed(package: str) -> bool:
    """Whether a package is here."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def write(run: dict[str, Any]) -> None:
    """Keeps a run as results.json and makes the report of it."""
    _write(run)
    draw(run)


def _write(run: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    REPORT.write_text(markdown(run), encoding="utf-8")


def keep(table: Table, *, show: bool = False) -> None:
    """Prints a table without a plot and puts it in the place of its older self; the others stay as they are."""
    print(table.markdown(), flush=True)
    if not show:
        run = json.loads(RESULTS.read_text(encoding="utf-8"))
        tables = {data["id"]: data for data in run["tables"]} | {table.id: table.data()}
        _write(run | {"tables": [tables[name] for name in sorted(tables)]})


def markdown(run: dict[str, Any]) -> str:
    """The report: where and with what, then each table with its plot."""
    parts = [HEAD.format(**run["setting"])]
    for table in (Table.of(data) for data in run["tables"]):
        picture = f"\n\n![{table.title}](images/benchmarks/{table.id}.svg)" if table.plot else ""
        parts.append(table.markdown() + picture + "\n")
    return "\n".join(parts)


def draw(run: dict[str, Any]) -> None:
    """One SVG for each table that has a plot: bars, ours in the accent colour."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "txpanel", "font.family": "sans-serif"})
    PLOTS.mkdir(parents=True, exist_ok=True)
    for table in (Table.of(data) for data in run["tables"]):
        if table.plot:
            _bars(table, PLOTS / f"{table.id}.svg")


def _bars(table: Table, path: Path) -> None:
    from matplotlib import pyplot

    at = next(i for i, (title, _unit) in enumerate(table.columns) if title == table.plot)
    unit = table.columns[at][1]
    rows = [row for row in table.rows if row[at] is not None]
    figure, axes = pyplot.subplots(figsize=(8, 0.32 * len(rows) + 0.9), layout="constrained")
    values = [float(row[at]) * FACTORS.get(unit, 1) for row in rows]  # type: ignore[arg-type]
    names = [str(row[0]).replace("**", "") for row in rows]
    drawn = axes.barh(range(len(rows)), values, color=[OURS if "txpanel" in name else THEIRS for name in names])
    axes.bar_label(drawn, [UNITS[unit](row[at]) for row in rows], padding=4, fontsize=9)
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(heading(table.columns[at]), fontsize=9)
    if table.log:
        axes.set_xscale("log")
    axes.margins(x=0.14)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text(encoding="utf-8")))
