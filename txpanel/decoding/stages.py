"""transformers' processors in the order of its ``generate`` (``_get_logits_processor``, 5.23), as functions of a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers.generation.logits_process import (
    LogitNormalization,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from txpanel.decoding.fast_sort import TopP, TypicalP
from txpanel.decoding.settings import Settings
from txpanel.errors import NoTokenLeft
from txpanel.messages import _

Ids = Sequence[int] | npt.NDArray[np.integer] | torch.Tensor
Processor = Callable[[torch.Tensor], torch.Tensor]  # [1, V] -> [1, V], float32

PROCESSORS = (
    "repetition_penalty",
    "no_repeat_ngram_size",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
)
"""The settings that stand for a processor each, in ``generate``'s order."""

_NO_IDS = torch.empty((1, 0), dtype=torch.long)


def processors(settings: Settings, ids: Ids | None) -> Iterator[tuple[str, Processor | None]]:
    """The processors in ``generate``'s order; None where the setting is off."""
    s = settings
    made: dict[str, Callable[[], Callable[..., torch.Tensor]]] = {
        "repetition_penalty": lambda: RepetitionPenaltyLogitsProcessor(float(s.repetition_penalty)),
        "no_repeat_ngram_size": lambda: NoRepeatNGramLogitsProcessor(int(s.no_repeat_ngram_size)),
        "temperature": lambda: _Temperature(float(s.temperature)),
        "top_k": lambda: TopKLogitsWarper(int(s.top_k)),
        "top_p": lambda: TopP(float(s.top_p)),
        "min_p": lambda: MinPLogitsWarper(float(s.min_p)),
        "typical_p": lambda: TypicalP(float(s.typical_p)),
    }
    off = Settings()
    so_far = torch.as_tensor(np.asarray(ids, np.int64))[None] if s.looks_back else _NO_IDS  # [1, T]
    for name in PROCESSORS:
        on = getattr(s, name) != getattr(off, name)
        yield name, _checked(name, made[name](), so_far) if on else None


def renormalise(row: torch.Tensor) -> torch.Tensor:
    """Log-probabilities, float32 [1, V]."""
    return LogitNormalization()(_NO_IDS, row)


def _checked(name: str, processor: Callable[..., torch.Tensor], ids: torch.Tensor) -> Processor:
    def run(row: torch.Tensor) -> torch.Tensor:
        return _usable(processor(ids, row), name)

    return run


class _Temperature:
    """transformers' own, except where it cannot: at 0, and where a temperature close to 0 overflows float32."""

    def __init__(self, temperature: float) -> None:
        self.divide = TemperatureLogitsWarper(temperature) if temperature else None

    def __call__(self, ids: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        if self.divide is None:
            return _greedy(row)
        scaled = self.divide(ids, row)
        if scaled.isposinf().any() or scaled.isneginf().sum() > row.isneginf().sum():
            # softmax only knows differences, so take the maximum off first
            scaled = self.divide(ids, row - row.max())
        return scaled


def _greedy(row: torch.Tensor) -> torch.Tensor:
    """The limit of small temperatures: only the likeliest token (the first, among equals) is left."""
    only = torch.full_like(row, -math.inf)
    best = int(row[0].argmax())
    only[0, best] = row[0, best]
    return only


def _usable(row: torch.Tensor, name: str) -> torch.Tensor:
    best = float(row.max())  # NaN if there is one
    if best == -math.inf:
        text = _("{stage} removed every token: there is none left to draw. Loosen this setting.")
        raise NoTokenLeft(text.format(stage=name))
    if not math.isfinite(best):
        text = _("{stage} made a logit infinite or not a number: there is nothing to draw from. Loosen this setting.")
        raise NoTokenLeft(text.format(stage=name))
    return row
