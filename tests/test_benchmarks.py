"""The report of the benchmarks is what their results file says, to the letter."""

from __future__ import annotations

import json

from benchmarks import report
from benchmarks.tables import Table


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
