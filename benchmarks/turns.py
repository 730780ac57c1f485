"""``python -m benchmarks.turns``: how long a change of head waits for other people's work on the same model.

Three visitors keep the model busy: nobody, one with a text of 100,000 characters, or three who generate without end. A fourth looks into one
block of a short text after the other, as a change of block or head on the page does. Counted are the waits for the model, and beside
them the whole look; then the same with a plain lock in place of turns, which is what txpanel had before. SmolLM2 if it is in the cache,
else the nano model. Run it on a quiet machine. ``--seconds``: of each case; 20. ``--plain 0`` leaves the plain lock out.
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

import txpanel
from benchmarks.tables import Table
from txpanel.models import cache
from txpanel.models.turns import Rank, Turns
from txpanel.session.state import ModelState
from txpanel.tracing import pieces
from txpanel.tracing.record import prefixes
from txpanel.tracing.store import STORE

LONG = "The quick brown fox jumps over the lazy dog, and nobody knows why it does. " * 1400
SHORT = "Data visualization empowers users to"
EVERY = 0.2
"""Seconds between two looks."""


class PlainLock:
    """A lock without order, in the place of `Turns`: nobody is let in before a pass is over."""

    waiting = 0

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    @contextmanager
    def turn(self, rank: Rank = Rank.LOOK) -> Iterator[None]:
        with self._lock:
            yield

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()

    def offer(self) -> None:
        """Nobody is let in."""


def visitor(model: Any, n: int) -> tuple[ModelState, Callable[[], None]]:
    """A session, and what ends it; its results are taken over in a thread of their own."""
    mailbox: queue.Queue[Callable[[], object] | None] = queue.Queue()

    def take() -> None:
        while (result := mailbox.get()) is not None:
            result()

    state = ModelState(dispatch=mailbox.put, visitor=n)
    state.model = model
    threading.Thread(target=take, daemon=True).start()

    def end() -> None:
        state.cancel()
        state.wait()
        mailbox.put(None)
        state.close()

    return state, end


def busy_with(case: str, model: Any) -> list[Callable[[], None]]:
    """Visitors who keep the model busy; what ends each."""
    ends = []
    if case == "a text of 100,000 characters":
        ids = model.encode(LONG[:100_000])[: model.max_tokens - 8]
        state, end = visitor(model, 1)
        state.text = model.tokenizer.decode(ids)
        ends.append(end)
    if case == "three who generate without end":
        for n in range(3):
            state, end = visitor(model, n)
            state.text = f"{SHORT} {n}"
            state.wait()
            state.generate(None)
            ends.append(end)
    return ends


def looks(model: Any, trace: Any, seconds: float) -> tuple[list[float], list[float]]:
    """Waits for the model, and whole looks, in seconds."""
    waits, whole, until = [], [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        STORE.forget(trace.uid)
        begin = time.perf_counter()
        with model.lock:
            waits.append(time.perf_counter() - begin)
            trace.head_map(len(waits) % trace.anatomy.n_layers, 0)
        whole.append(time.perf_counter() - begin)
        time.sleep(EVERY)
    return waits, whole


def measure(model: Any, case: str, seconds: float, *, plain: bool) -> list[Any]:
    """A row of the table."""
    prefixes(model).clear()
    with ExitStack() as stack:
        model.lock = PlainLock() if plain else Turns()
        if plain:
            stack.enter_context(patch.object(pieces, "ends", lambda model, ids, start=0, **_more: [len(ids)]))
        trace = model.trace(SHORT)
        for end in busy_with(case, model):
            stack.callback(end)
        time.sleep(1.0)
        waits, whole = looks(model, trace, seconds)
    return [
        f"{case}{' (plain lock)' if plain else ''}",
        len(waits),
        median(waits),
        max(waits),
        median(whole),
        max(whole),
    ]


def reading(model: Any, tokens: int) -> list[list[Any]]:
    """What pieces cost somebody who is alone: the same long text in one pass and in pieces."""
    from txpanel.models.turns import Asking, asked_by
    from txpanel.tracing import record

    ids, rows = model.encode(LONG)[:tokens], []
    pieces.speed(model, ids)
    for name in ("one pass", "pieces"):
        begin = time.perf_counter()
        with ExitStack() as stack:
            if name == "pieces":
                stack.enter_context(asked_by(Asking("alone")))
            found = record(model, ids, reuse=False).recording
        rows.append([f"{len(ids):,} tokens in {name}", len(found.pieces) or 1, time.perf_counter() - begin])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turns", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4000, help="of the text that is read in one pass and in pieces")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    name = "smollm2-135m" if cache.find("smollm2-135m") is not None else "nano"
    model = txpanel.load(name)
    cases = ["nobody", "a text of 100,000 characters", "three who generate without end"]
    waits = Table(
        "B-14", f"Waiting for other people's work on {name}",
        "Looks into a block of a short text, one after the other, while others use the same model.",
        [("others", ""), ("looks", "count"), ("wait", "ms"), ("longest wait", "ms"), ("look", "ms"), ("longest look", "ms")],
    )  # fmt: skip
    for plain in (False, True) if chosen.plain else (False,):
        for case in cases:
            waits.rows.append(measure(model, case, chosen.seconds, plain=plain))
            print(waits.rows[-1], flush=True)
    print(waits.markdown())
    alone = Table("B-14b", "A long text alone", "Time on the wall.", [("text", ""), ("pieces", "count"), ("time", "s")])
    alone.rows = reading(model, min(chosen.tokens, model.max_tokens - 8))
    print(alone.markdown())


if __name__ == "__main__":
    main()
