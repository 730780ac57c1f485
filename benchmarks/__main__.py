"""``python -m benchmarks [--quick]``: run everything and write benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from benchmarks import drawing, generating, recording
from benchmarks.measuring import CLOCKS, Table, use_clock
from benchmarks.subject import Subject

RESULTS = Path(__file__).parent / "RESULTS.md"
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a smaller model, short texts, few rounds: to see that it runs"
    )
    parser.add_argument("--only", nargs="+", metavar="ID", help="such as B-02 B-11")
    parser.add_argument("--repeat", type=int, default=9, help="rounds of each table; 9 by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: time computed, for a busy machine")
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    use_clock(chosen.clock)
    tables = run(chosen.quick, chosen.only, chosen.repeat)
    chosen.output.write_text(report(tables, chosen), encoding="utf-8")


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
    }
    tables = []
    for name, case in cases.items():
        if not only or name in only:
            tables.append(case())
            print(tables[-1].markdown(), flush=True)
    return tables


def report(tables: list[Table], chosen: argparse.Namespace) -> str:
    """RESULTS.md: where and with what, then the tables."""
    quick, threads, rounds = chosen.quick, chosen.threads, 2 if chosen.quick else chosen.repeat
    clock = "time computed by the process" if chosen.clock == "cpu" else "time on the wall"
    subject = "6 blocks of width 384" if quick else "GPT-2 small (124 M)"
    head = [
        "# Side by side",
        "",
        (
            f"Written by `python -m benchmarks{' --quick' if quick else ''}` on {time.strftime('%Y-%m-%d')}: {subject}, random weights, float32, "
            f"{clock}, {rounds} rounds, {threads} thread{'s' if threads > 1 else ''}, Python {platform.python_version()}, "
            f"{_processor()}; {', '.join(_versions())}."
        ),
        "",
        (
            "All cases of a table run in turn in one process (A, B, C, A, B, C, ...), after a check that their numbers agree. On a shared machine "
            "trust the ratios and the bytes, not the milliseconds. The identifiers are those of the project's list of comparisons."
        ),
        "",
    ]
    return "\n".join(head) + "\n\n".join(table.markdown() for table in tables) + "\n"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
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
