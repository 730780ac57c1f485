"""Fair figures from a small, shared machine: interleaved runs, the best of them, distinct bytes."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of one case. `ratio` is its best to the best of the first case in the same loop."""

    best: float
    median: float
    ratio: float


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def use_clock(name: str) -> None:
    """``"wall"``, or ``"cpu"``: what the process itself computed, which neighbours on a shared machine hardly change."""
    global clock
    clock = CLOCKS[name]


def interleave(
    cases: Mapping[str, Callable[[], Any]], repeat: int = 9, before: Callable[[], Any] | None = None
) -> dict[str, Timing]:
    """Run every case once per round, `repeat` rounds after one that is not counted; the first case is the measure.

    Neighbours on a shared machine slow down whole rounds, so only cases of the same loop are compared.

    Args:
        cases: what is timed. repeat: rounds. before: called before each case, untimed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(repeat + 1):
        gc.collect()
        for name, case in cases.items():
            if before is not None:
                before()
            start = clock()
            case()
            if turn:
                seconds[name].append(clock() - start)
    base = min(next(iter(seconds.values())))
    return {name: Timing(min(s), statistics.median(s), min(s) / base) for name, s in seconds.items()}


def held(*things: Any) -> int:
    """Bytes of all distinct tensor storages inside (views of one storage count once)."""
    storages: dict[int, int] = {}
    seen: set[int] = set()

    def visit(thing: Any) -> None:
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(thing, Mapping):
            for value in thing.values():
                visit(value)
        elif isinstance(thing, (list, tuple, set)):
            for value in thing:
                visit(value)

    for thing in things:
        visit(thing)
    return sum(storages.values())
