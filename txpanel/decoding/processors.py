"""The declared stages at work: their processors in a row, as functions of one row of logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers.generation.logits_process import LogitNormalization

from txpanel.decoding.settings import Settings
from txpanel.decoding.stage_spec import Processor
from txpanel.decoding.stages import SPECS
from txpanel.errors import NoTokenLeft
from txpanel.messages import _

__all__ = ["Ids", "processors", "renormalise"]

Ids = Sequence[int] | npt.NDArray[np.integer] | torch.Tensor

_NO_IDS = torch.empty((1, 0), dtype=torch.long)


def processors(
    settings: Settings, ids: Ids | None
) -> Iterator[tuple[str, Callable[[torch.Tensor], torch.Tensor] | None]]:
    """Name and processor of each stage in their order, [1, V] -> [1, V]; None where the setting is off.

    Args:
        ids: the tokens so far, [T], where a setting looks at them.
    """
    so_far = torch.as_tensor(np.asarray(ids, np.int64))[None] if settings.looks_back else _NO_IDS  # [1, T]
    for spec in SPECS:
        value = getattr(settings, spec.key)
        yield spec.key, _checked(spec.key, spec.rule(spec.kind(value)), so_far) if value != spec.off else None


def renormalise(row: torch.Tensor) -> torch.Tensor:
    """Log-probabilities, float32 [1, V]."""
    return LogitNormalization()(_NO_IDS, row)


def _checked(name: str, processor: Processor, ids: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(row: torch.Tensor) -> torch.Tensor:
        return _usable(processor(ids, row), name)

    return run


def _usable(row: torch.Tensor, name: str) -> torch.Tensor:
    best = float(row.max())  # NaN if there is one
    if best == -math.inf:
        text = _("{stage} cut off every token: none is left to draw. Loosen this setting.")
        raise NoTokenLeft(text.format(stage=name))
    if not math.isfinite(best):
        text = _("{stage} made a logit infinite or not a number: there is nothing to draw from. Loosen this setting.")
        raise NoTokenLeft(text.format(stage=name))
    return row
