"""From the model's logits through all stages to a token; each stage keeps its result for all V tokens.

The stages are those of `txpanel.decoding.stages`: transformers' own processors in the order of its ``generate``
(``_get_logits_processor``, 5.23) and what is declared beside them. The last is transformers' ``LogitNormalization``, which
``generate`` uses with ``renormalize_logits=True``; then comes the draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from txpanel.decoding.cumulative import Draw, bounds, draw, likeliest, uniform
from txpanel.decoding.processors import Ids, processors, renormalise
from txpanel.decoding.settings import Settings, with_settings
from txpanel.decoding.stages import SPECS
from txpanel.messages import _

Logits = xr.DataArray | npt.NDArray[np.floating] | torch.Tensor

STAGES = ("logits", *(spec.key for spec in SPECS), "renormalise")
"""Names of all stages in their order; those between the first and the last are called like their setting."""


@dataclass(frozen=True)
class Stage:
    """The logits after one processor.

    Attributes:
        name: one of `STAGES`; ``"logits"`` is as the model gave them.
        active: whether the processor does anything with these settings; if not, the logits are those of before.
        logits: float32 [V]; removed tokens are at minus infinity. After ``"renormalise"``: log-probabilities.
    """

    name: str
    active: bool
    logits: npt.NDArray[np.float32]

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [V], adding up to 1: the softmax of `logits`; 0 for removed tokens."""
        left = np.flatnonzero(self.logits > -np.inf)  # often a few tokens of fifty thousand
        powers = np.exp(self.logits[left].astype(np.float64) - self.logits.max())
        found = np.zeros(len(self.logits))
        found[left] = powers / powers.sum()
        return found

    @cached_property
    def kept(self) -> int:
        """How many tokens are left."""
        return int(np.count_nonzero(self.logits > -np.inf))

    @cached_property
    def entropy(self) -> float:
        """Of the probabilities, in bits: 0 when only one token is left, log2 V when all are equally likely."""
        p = self.probabilities[self.probabilities > 0]
        return max(0.0, float(-(p * np.log2(p)).sum()))


@dataclass(frozen=True)
class Renormalised(Stage):
    """The last stage, whose probabilities are the softmax of the logits before it, in float64.

    Its own `logits` are log-probabilities in float32, as transformers makes them: the detour over those would cost digits.

    Attributes:
        before: the stage whose logits were renormalised.
    """

    before: Stage

    @classmethod
    def after(cls, before: Stage) -> Renormalised:
        """The stage that follows the last processor."""
        return cls(STAGES[-1], True, renormalise(torch.from_numpy(before.logits)[None])[0].numpy(), before)

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [V], adding up to 1; 0 for removed tokens."""
        return self.before.probabilities


@dataclass(frozen=True)
class Sample:
    """All stages from the model's logits to one token.

    What the draw did not need is computed from logits and settings on access: most steps of a generation are never
    looked at, and keep one row of logits, not one for each stage.

    Attributes:
        settings: temperature and the rest.
        token: the id that was drawn.
        draw: how.
        logits: float32 [V], as the model gave them. ids: the tokens so far [T], where a setting looks at them.
        ready: the stages up to the last processor, where the draw needed them.
    """

    settings: Settings
    token: int
    draw: Draw
    logits: npt.NDArray[np.float32] = field(repr=False)
    ids: Ids | None = field(repr=False)
    ready: tuple[Stage, ...] = field(default=(), repr=False)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Always all of `STAGES`, in this order; those that are off change nothing."""
        before = self.ready or tuple(_stages(torch.from_numpy(self.logits), self.settings, self.ids))
        return (*before, Renormalised.after(before[-1]))

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [V]: what the token was drawn from."""
        return self.stages[-1].probabilities

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """int64 [kept]: the tokens that are left, likeliest first (ties by id): the order in which their intervals lie."""
        return likeliest(self.stages[-2].logits, len(self.stages[-2].logits))

    def stage(self, name: str) -> Stage:
        """The stage of that name, one of `STAGES`.

        Raises:
            ValueError: there is no such stage.
        """
        return self.stages[STAGES.index(name)]

    @cached_property
    def removed(self) -> npt.NDArray[np.int8]:
        """int8 [V]: which of `stages` removed each token; -1 for those that are left."""
        found = np.full(len(self.stages[0].logits), -1, np.int8)
        for place in reversed(range(len(self.stages))):
            if place == 0 or self.stages[place].active:
                found[np.isneginf(self.stages[place].logits)] = place
        return found

    def removed_by(self, token: int) -> str | None:
        """Name of the stage that removed a token; ``"logits"`` if the model itself did, None if it is left."""
        place = int(self.removed[token])
        return None if place < 0 else self.stages[place].name

    def outcomes(self, seeds: Sequence[int] = range(1000)) -> npt.NDArray[np.int64]:
        """int64 [len(seeds)]: the token that each of other seeds would have drawn with the same probabilities."""
        numbers = np.array([uniform(seed) for seed in seeds])
        ranks = np.searchsorted(bounds(self.probabilities[self.order]), numbers, side="right") - 1
        return self.order[ranks]


@with_settings
def pipeline(logits: Logits, *values: float, ids: Ids | None = None, **settings: float) -> Sample:
    """Take logits through all stages and draw a token.

    Args:
        logits: of one position, [V] or [1, V]; a DataArray, an array or a tensor. They are not changed.
        values, settings: the fields of `Settings`, by position or by name: ``temperature=0.7, top_p=0.9, seed=3``.
        ids: the tokens so far, [T]; only settings that look back at the text need them.

    Returns:
        The stages, the final probabilities, the token and the draw.

    Raises:
        ValueError: a setting is out of its range, or the logits are not one row of numbers; the text says which.
        NoTokenLeft: a stage removed every token, or made a logit infinite.
    """
    return sample(logits, Settings(*values, **settings), ids)


def sample(logits: Logits, settings: Settings, ids: Ids | None = None, *, final: bool = False) -> Sample:
    """As `pipeline`, with the settings as one value. `final`: nobody will write to the logits, so they need not be copied.

    Raises:
        ValueError, NoTokenLeft: as `pipeline`.
    """
    if settings.looks_back and ids is None:
        raise ValueError(_("A penalty on repetition needs the ids of the tokens so far."))
    row = _row(logits, copy=not final)
    if settings.temperature == 0 and not settings.looks_back:  # greedy: no later stage can remove the only token left
        token = int((row.numpy() == row.numpy().max()).argmax())  # the first, among equals
        return Sample(settings, token, Draw(settings.seed, uniform(settings.seed), 0.0, 1.0, 0), row.numpy(), ids)
    stages = tuple(_stages(row, settings, ids))
    token, drawn = draw(stages[-1].logits, stages[-1].probabilities, settings.seed)
    return Sample(settings, token, drawn, row.numpy(), ids, stages)


def _stages(row: torch.Tensor, settings: Settings, ids: Ids | None) -> Iterator[Stage]:
    """The stages from the logits [V] to the last processor."""
    yield Stage(STAGES[0], True, row.numpy())
    scores = row[None]  # [1, V]
    for name, processor in processors(settings, ids):
        scores = processor(scores) if processor else scores
        yield Stage(name, processor is not None, scores[0].numpy())


def _row(logits: Logits, copy: bool = True) -> torch.Tensor:
    """The logits as a float32 tensor [V] on the CPU; of our own if it is a copy."""
    values = logits.values if isinstance(logits, xr.DataArray) else logits
    row = torch.as_tensor(np.array(values, np.float32) if not isinstance(values, torch.Tensor) else values.detach())
    row = row.to("cpu", torch.float32, copy=copy)
    if row.ndim == 2 and len(row) == 1:
        row = row[0]
    if row.ndim != 1 or not row.numel():
        text = _("The logits must be one row with one number per token; these have the shape {shape}.")
        raise ValueError(text.format(shape=tuple(row.shape)))
    if not math.isfinite(row.numpy().max()):  # NaN if there is one
        raise ValueError(_("The logits cannot be used: some are infinite or not a number, or no token is left."))
    return row
