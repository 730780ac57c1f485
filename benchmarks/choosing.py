"""B-13: from logits to a token, every stage kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from benchmarks.measuring import interleave
from benchmarks.tables import Table
from txpanel.sampling import pipeline

SETTINGS: dict[str, dict[str, Any]] = {
    "temperature 0.8": {"temperature": 0.8},
    "temperature 0.8, top-k 50": {"temperature": 0.8, "top_k": 50},
    "temperature 0.8, top-k 50, top-p 0.9, min-p 0.02": {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "min_p": 0.02},
    "temperature 0.8, top-p 0.95": {"temperature": 0.8, "top_p": 0.95},
}


def speed(vocabulary: int, repeat: int) -> Table:
    """The pipeline beside transformers' processors and torch's draw."""
    table = Table(
        "B-13",
        f"Sampling from {vocabulary:,} logits",
        "Milliseconds for one token. txpanel keeps each stage over the whole vocabulary and where the draw fell on the bar; no forward pass. What its "
        "processors leave is equal to what transformers' leave, bit for bit.",
        [("settings and tool", ""), ("best", "ms"), ("median", "ms"), ("ratio", "times")],
        plot="best",
    )
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 3, vocabulary).astype(np.float32))
    for title, settings in SETTINGS.items():
        processors = chain(settings)
        ids = torch.zeros((1, 1), dtype=torch.long)
        kept = pipeline(logits, **settings).stages[-2]  # the last one makes log-probabilities of it
        assert np.array_equal(kept.logits, processors(ids, logits[None])[0].numpy())
        for name, timing in interleave(cases(logits, ids, processors, settings), repeat).items():
            table.rows.append([f"{title}: {name}", timing.best, timing.median, timing.ratio])
    return table


def cases(
    logits: torch.Tensor, ids: torch.Tensor, processors: LogitsProcessorList, settings: dict[str, Any]
) -> dict[str, Callable[[], Any]]:
    """Both end with a token."""

    def theirs() -> None:
        torch.multinomial(torch.softmax(processors(ids, logits[None]), -1), 1)

    return {"transformers' processors": theirs, "**txpanel, every stage**": lambda: pipeline(logits, **settings)}


def chain(settings: dict[str, Any]) -> LogitsProcessorList:
    """Transformers' processors, in the order of `generate`."""
    made = [TemperatureLogitsWarper(settings["temperature"])]
    made += [TopKLogitsWarper(settings["top_k"])] if "top_k" in settings else []
    made += [TopPLogitsWarper(settings["top_p"])] if "top_p" in settings else []
    made += [MinPLogitsWarper(settings["min_p"])] if "min_p" in settings else []
    return LogitsProcessorList(made)
