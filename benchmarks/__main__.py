"""``python -m benchmarks [--quick]``: run everything; write results.json, docs/benchmarks.md and its plots."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from benchmarks import choosing, drawing, generating, recording, report
from benchmarks.measuring import CLOCKS, use_clock
from benchmarks.subject import Subject
from benchmarks.tables import Table

PACKAGES = (
    "txpanel",
    "torch",
    "transformers",
    "transformer_lens",
    "interp-engine",
    "nnsight",
    "bertviz",
    "circuitsvis",
)

IN_A_BROWSER = ("B-03b", "B-07b", "B-10", "B-10b", "B-10c", "B-13b", "M-01", "R-01", "R-02", "R-03", "R-04")
"""Tables of `benchmarks.page`, `timeline`, `start`, `tabs`, `drag`, `soak` and `replacements`: a run of the others leaves them as they are."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smaller model, short texts, few rounds: to see that it runs; writes nothing",
    )
    parser.add_argument("--only", nargs="+", metavar="ID", help="such as B-02 B-11; the other tables stay as they were")
    parser.add_argument("--repeat", type=int, default=9, help="rounds of each table; 9 by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: time computed, for a busy machine")
    chosen = parser.parse_args()
    if not chosen.quick and (lacking := report.missing()):  # before anything is computed or written
        install = 'pip install -c constraints.txt -e ".[bench]"'
        parser.error(f"{', '.join(lacking)}: not installed. Run {install}, or see with --quick that it runs.")
    torch.set_num_threads(chosen.threads)
    use_clock(chosen.clock)
    tables = run(chosen.quick, chosen.only, chosen.repeat)
    if not chosen.quick:
        kept = {name: data for name, data in _kept().items() if chosen.only or name in IN_A_BROWSER}
        found = kept | {table.id: table.data() for table in tables}
        report.write({"setting": setting(chosen), "tables": [found[name] for name in sorted(found)]})


def run(quick: bool, only: list[str] | None, rounds: int) -> list[Table]:
    """The tables, in order, each printed as it comes."""
    subject = Subject.make(quick)
    lengths, repeat = ([16, 64], 2) if quick else ([16, 128, 512], rounds)
    cases: dict[str, Callable[[], Table]] = {
        "B-01": lambda: recording.first_map(subject, lengths, repeat),
        "B-02": lambda: recording.memory(subject, [32, 64] if quick else [128, 512, 1024]),
        "B-03": lambda: recording.head_change(subject, lengths, repeat),
        "B-04": lambda: drawing.bytes_sent(subject, [64] if quick else [64, 128, 256]),
        "B-05": lambda: drawing.overview(subject, [64] if quick else [64, 128]),
        "B-07": lambda: generating.speed(subject, [32] if quick else [32, 512], max(2, repeat // 2)),
        "B-11": lambda: recording.edit(subject, lengths[-1], repeat),
        "B-13": lambda: choosing.speed(1_000 if quick else 50_257, max(2, repeat)),
    }
    tables = []
    for name, case in cases.items():
        if not only or name in only:
            tables.append(case())
            print(tables[-1].markdown(), flush=True)
    return tables


def setting(chosen: argparse.Namespace) -> dict[str, Any]:
    """Where and with what."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "what": "GPT-2 small (124 M) with random weights, float32",
        "clock": "time computed by the process" if chosen.clock == "cpu" else "time on the wall",
        "rounds": chosen.repeat,
        "threads": f"{chosen.threads} thread{'s' if chosen.threads > 1 else ''}",
        "python": platform.python_version(),
        "machine": _processor(),
        "versions": ", ".join(_versions()),
    }


def _kept() -> dict[str, Any]:
    if not report.RESULTS.exists():
        return {}
    return {table["id"]: table for table in json.loads(report.RESULTS.read_text(encoding="utf-8"))["tables"]}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def _versions() -> list[str]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return found


if __name__ == "__main__":
    main()
