"""The report of the benchmarks is what their results file says, to the letter."""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import load, replacements, report, soak
from benchmarks.tables import Table
from benchmarks.visitor import Visitor
from txpanel.compat import process_wide

NOT_FOR_SPEED = {
    "write_queue", "early_changes", "closed_tabs", "new_models", "own_bokeh", "late_resources",
    "browser_patches", "held_exits", "kept_connections", "kept_connection", "plain_query", "without_eval", "when_idle",
}  # fmt: skip


def test_the_report_is_generated_from_the_results() -> None:
    run = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert report.REPORT.read_text(encoding="utf-8") == report.markdown(run)
    for table in run["tables"]:
        assert not table["plot"] or (report.PLOTS / f"{table['id']}.svg").exists()


def test_a_table_is_written_with_its_units() -> None:
    columns = [("what", ""), ("best", "ms"), ("held", "MB"), ("ratio", "times")]
    table = Table(
        "B-00", "A thing", "What is counted.", columns, [["ours", 0.0123, 4_100_000, 0.5], ["theirs", None, None, None]]
    )
    assert "| what | best, ms | held, MB | ratio |" in table.markdown()
    assert "| ours | 12.3 | 4.1 | 0.50 |" in table.markdown()
    assert "| theirs | not installed | not installed | not installed |" in table.markdown()
    assert Table.of(json.loads(json.dumps(table.data()))) == table


def test_every_replacement_has_a_row_with_and_without() -> None:
    """What changes a library for a whole process or page stays only for a benefit that somebody can see."""
    process = {name for names in process_wide.AT.values() for name in names}
    page = {path.stem for path in Path(process_wide.__file__).parent.glob("*.js")}
    at_times = {*replacements.AT_START, *replacements.FOR_MEMORY, *replacements.AT_CLOSING}
    measured = {*replacements.PYTHON, *at_times, *replacements.BROWSER}
    assert (process | page) - NOT_FOR_SPEED <= measured


@pytest.mark.parametrize("name", ["style_lookup", "lean_imports", "shared_heap"])
def test_a_server_can_be_started_without_one(name: str) -> None:
    first = {**replacements.PYTHON, **replacements.AT_START, **replacements.FOR_MEMORY}[name]
    code = f"{first}\nprint(sorted(n for names in p.AT.values() for n in names))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    everything = {name for names in process_wide.AT.values() for name in names}
    assert run.stdout.strip() == str(sorted(everything - {name}))


def test_a_page_can_be_shown_without_one() -> None:
    """Its methods are fixed before our bundle runs, in a way that does not stop it."""
    code = replacements.kept(replacements.BROWSER["paint_queue"])
    assert code.startswith(
        "for (const [module, name, method] of [['models/plots/plot_canvas', 'PlotView', 'schedule_paint']])"
    )
    assert "set() {}" in code


def test_the_slope_of_a_soak_is_that_of_its_second_half(tmp_path: Path) -> None:
    course = soak.Course(0, tmp_path / "none")
    course.rows = [(0.0, 0, {}, 0), (30.0, 900, {}, 1), (60.0, 1000, {}, 1), (90.0, 1005, {}, 1), (120.0, 1010, {}, 1)]
    course.rows.append((200.0, 0, {}, 0))  # when everybody has gone
    assert course.slope() == pytest.approx(10)
    assert course.slope_error() == math.inf
    assert course.inside() == {}
    assert soak.text_of(1, 2) == soak.text_of(1, 2) != soak.text_of(2, 2)


def test_the_slope_of_a_soak_is_that_of_what_stays(tmp_path: Path) -> None:
    """Moments in which a pass needs more lie anywhere; what is never freed is in the least of each part."""
    course = soak.Course(0, tmp_path / "none")
    growing = [5 * second / 60 for second in range(0, 1800, 2)]
    peaks = [200 * (n > 800 and n % 15 < 12) for n in range(900)]  # most of the time, and late only
    course.rows = [(2.0 * n, round(1000 * (growing[n] + peaks[n])), {}, 1) for n in range(900)]
    course.rows.append((2000.0, 0, {}, 0))
    assert course.slope() == pytest.approx(5000, rel=0.02)


def test_a_soak_says_how_sure_its_slope_is(tmp_path: Path) -> None:
    course = soak.Course(0, tmp_path / "none")
    noise = np.random.default_rng(3).normal(0, 50_000, 900)
    course.rows = [(2.0 * n, round(1e6 + noise[n]), {}, 1) for n in range(900)]
    course.rows.append((2000.0, 0, {}, 0))
    minutes, found = map(np.array, course.least())
    assert len(minutes) == 10
    fit = line_by_numpy(minutes, found)
    assert (course.slope(), course.slope_error()) == pytest.approx(fit)
    assert abs(course.slope()) < 3 * course.slope_error()


def line_by_numpy(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and standard error from the covariance that NumPy's least squares gives."""
    (slope, _start), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def test_a_visitor_of_the_load_never_asks_for_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server tells nothing of a head that is shown already or a text that stands there: 4 such answers counted as lost."""
    asked: list[tuple[str, Any, Any]] = []

    class Quick(Visitor):
        async def head(self, n: int) -> None:
            asked.append(("head", self.shown, n))
            self.shown = n

        async def slider(self, temperature: float) -> None:
            asked.append(("slider", self.temperature, temperature))
            self.temperature = temperature

        async def run(self, text: str) -> None:
            asked.append(("text", self.text, text))
            self.text = text

        async def generate(self, n: int) -> None:
            """Nothing that could be asked for twice."""

    monkeypatch.setattr(load, "SUBJECTS", ["cats", "rivers"])
    for n in range(3):
        crowd = load.Crowd([])
        visitor = Quick("", load.text_of(n, random.Random(n)))
        until = time.monotonic() + 0.1
        asyncio.run(load.act(visitor, n, until, 0.0001, crowd))
    assert {what for what, _before, _now in asked} == {"head", "slider", "text"}
    assert [one for one in asked if one[1] == one[2]] == []


WITHOUT_NNSIGHT = """
import sys
from benchmarks import report
report.is_installed = lambda package: package != "nnsight"
from benchmarks import __main__ as benchmarks
benchmarks.run = lambda *given: sys.exit("it was begun")
sys.argv = ["benchmarks", "--only", "B-02"]
benchmarks.main()
"""


@pytest.mark.sweep
def test_without_its_extra_nothing_is_measured_and_no_file_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in (report.RESULTS, report.REPORT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NNSIGHT], cwd=report.ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert "error: nnsight: not installed. Run pip install -c constraints.txt -e" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    monkeypatch.setattr(report, "is_installed", lambda package: False)
    assert {"matplotlib", "transformer_lens"} <= set(report.missing())
