"""From logits to the next token: every stage over the whole vocabulary, and the draw itself.

The stages are transformers' own processors in the order in which ``generate`` applies them: temperature, top-k,
top-p, min-p. Each is public and can be looked at, over all V tokens, before and after.

The draw is one number. A bar from 0 to 1 is divided among the tokens that are left, likeliest first, each as wide as
its probability; a uniform number ``u`` in [0, 1) falls into exactly one piece, and that is the next token. ``u`` comes
from NumPy's PCG64 generator and depends on the seed alone: the same seed gives the same ``u`` on every machine, and a
slider that changes the probabilities moves the pieces under a ``u`` that stays where it is. Successive tokens use
successive seeds (`txpanel.generate`, `ModelState.append`): each has a number of its own, and all can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from txpanel.messages import _

Logits = xr.DataArray | npt.NDArray[np.floating] | torch.Tensor
Processor = Callable[[torch.Tensor], torch.Tensor]  # [V] -> [V], float32


@dataclass(frozen=True, slots=True)
class Settings:
    """How the next token is drawn; refuses impossible values in words.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token, 1 leaves the model as it is.
        top_k: keep the k likeliest tokens (and those that tie with the last of them); 0 is off.
        top_p: keep the likeliest tokens that together reach this probability; 1 is off.
        min_p: keep tokens at least this share as likely as the likeliest; 0 is off.
        seed: of the uniform number.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (_is_number(self.temperature) and 0 <= self.temperature < math.inf):
            text = _("The temperature is {value}, but it must be a number, 0 (always the likeliest token) or more.")
            raise ValueError(text.format(value=self.temperature))
        _require_whole("top_k", self.top_k, _("0 (off) or the number of tokens to keep"))
        _require_whole("seed", self.seed, _("0 or more"))
        for name, value in (("top_p", self.top_p), ("min_p", self.min_p)):
            if not (_is_number(value) and 0 <= value <= 1):
                text = _("{name} is {value}, but it is a probability and must lie between 0 and 1.")
                raise ValueError(text.format(name=name, value=value))


@dataclass(frozen=True)
class Stage:
    """The state of things after one processor.

    Attributes:
        name: ``"logits"`` (as the model gave them), ``"temperature"``, ``"top_k"``, ``"top_p"`` or ``"min_p"``.
        active: whether the processor does anything with these settings; if not, the logits are those of before.
        logits: float32 [V]; removed tokens are at minus infinity.
    """

    name: str
    active: bool
    logits: npt.NDArray[np.float32]

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [V], adding up to 1: the softmax of `logits`; 0 for removed tokens."""
        powers = np.exp(self.logits.astype(np.float64) - self.logits.max())
        return np.asarray(powers / powers.sum())

    @cached_property
    def kept(self) -> int:
        """How many tokens are left."""
        return int(np.count_nonzero(self.logits > -np.inf))

    @cached_property
    def entropy(self) -> float:
        """Of the probabilities, in bits: 0 when only one token is left, log2 V when all are equally likely."""
        p = self.probabilities[self.probabilities > 0]
        return max(0.0, float(-(p * np.log2(p)).sum()))


@dataclass(frozen=True, slots=True)
class Draw:
    """The uniform number and the piece of the bar in which it fell: ``low <= uniform < high``.

    Attributes:
        seed: which gave `uniform`.
        uniform: the number in [0, 1).
        low: probability of all tokens that lie before the drawn one on the bar (the likelier ones).
        high: `low` plus the probability of the drawn token.
        rank: how many tokens lie before it; 0 is the likeliest.
    """

    seed: int
    uniform: float
    low: float
    high: float
    rank: int


@dataclass(frozen=True)
class Sample:
    """All stages from the model's logits to one token.

    Attributes:
        settings: temperature and the rest.
        stages: the model's logits, then after temperature, top-k, top-p, min-p; always these five, in this order.
        order: int64 [kept], the tokens that are left, likeliest first (ties by id): the pieces of the bar.
        token: the id that was drawn.
        draw: how.
    """

    settings: Settings
    stages: tuple[Stage, ...]
    order: npt.NDArray[np.int64]
    token: int
    draw: Draw

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 [V]: what the token was drawn from."""
        return self.stages[-1].probabilities


def pipeline(
    logits: Logits,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int = 0,
) -> Sample:
    """Take logits through all stages and draw a token.

    Args:
        logits: of one position, [V] or [1, V]; a DataArray, an array or a tensor. They are not changed.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: keep the k likeliest; 0 is off.
        top_p: keep the likeliest that together reach this probability; 1 is off.
        min_p: keep those at least this share as likely as the likeliest; 0 is off.
        seed: of the draw.

    Returns:
        The stages, the final probabilities, the token and the draw.

    Raises:
        ValueError: a setting is out of its range, or the logits are not one row of numbers; the text says which.
    """
    settings = Settings(temperature, top_k, top_p, min_p, seed)
    current = _row(logits)  # [V]
    stages = [Stage("logits", True, current.numpy())]
    for name, processor in _processors(settings):
        current = processor(current) if processor else current
        stages.append(Stage(name, processor is not None, current.numpy()))
    order = _order(stages[-1])
    token, drawn = _draw(stages[-1].probabilities, order, seed)
    return Sample(settings, tuple(stages), order, token, drawn)


def uniform(seed: int) -> float:
    """The number in [0, 1) that a seed stands for."""
    return float(np.random.default_rng(seed).random())


def _processors(settings: Settings) -> list[tuple[str, Processor | None]]:
    """The processors in ``generate``'s order; None where the setting is off."""
    k, p, m = settings.top_k, settings.top_p, settings.min_p
    return [
        ("temperature", None if settings.temperature == 1 else _temperature(float(settings.temperature))),
        ("top_k", _batched(TopKLogitsWarper(int(k))) if k else None),
        ("top_p", _batched(TopPLogitsWarper(float(p))) if p < 1 else None),
        ("min_p", _batched(MinPLogitsWarper(float(m))) if m > 0 else None),
    ]


def _batched(warper: Callable[..., torch.Tensor]) -> Processor:
    """A processor of transformers works on batches and is given the ids, which these four do not look at."""
    no_ids = torch.empty((1, 0), dtype=torch.long)
    return lambda row: warper(no_ids, row[None])[0]


def _temperature(temperature: float) -> Processor:
    if temperature == 0:
        return _greedy
    divide = _batched(TemperatureLogitsWarper(temperature))

    def processor(row: torch.Tensor) -> torch.Tensor:
        scaled = divide(row)
        if torch.isposinf(scaled).any() or torch.isneginf(scaled).sum() > torch.isneginf(row).sum():
            # a temperature close to 0 overflows float32; softmax only knows differences, so take the maximum off first
            scaled = divide(row - row.max())
        return scaled

    return processor


def _greedy(row: torch.Tensor) -> torch.Tensor:
    """The limit of small temperatures: only the likeliest token (the first, among equals) is left."""
    only = torch.full_like(row, -math.inf)
    best = int(row.argmax())
    only[best] = row[best]
    return only


def _order(stage: Stage) -> npt.NDArray[np.int64]:
    left = np.flatnonzero(stage.logits > -np.inf)
    return left[np.argsort(-stage.logits[left], kind="stable")].astype(np.int64)


def _draw(probabilities: npt.NDArray[np.float64], order: npt.NDArray[np.int64], seed: int) -> tuple[int, Draw]:
    u = uniform(seed)
    edges = np.concatenate([[0.0], np.cumsum(probabilities[order])])  # K + 1 edges of K pieces
    edges[edges >= edges[-1]] = 1.0  # the sum of K roundings may miss 1 by a hair: no u may fall off the end
    rank = int(np.searchsorted(edges, u, side="right")) - 1
    return int(order[rank]), Draw(seed, u, float(edges[rank]), float(edges[rank + 1]), rank)


def _row(logits: Logits) -> torch.Tensor:
    """The logits as a float32 tensor [V] of our own on the CPU."""
    values = logits.values if isinstance(logits, xr.DataArray) else logits
    row = torch.as_tensor(np.array(values, np.float32) if not isinstance(values, torch.Tensor) else values.detach())
    row = row.to("cpu", torch.float32, copy=True)
    if row.ndim == 2 and len(row) == 1:
        row = row[0]
    if row.ndim != 1 or not row.numel():
        text = _("One row of logits is needed, one number for each token; these have the shape {shape}.")
        raise ValueError(text.format(shape=tuple(row.shape)))
    if row.isnan().any() or row.isposinf().any() or row.isneginf().all():
        raise ValueError(_("The logits are not usable: some are not a number or infinite, or no token is left."))
    return row


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _require_whole(name: str, value: object, meaning: str) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        text = _("{name} is {value}, but it must be a whole number: {meaning}.")
        raise ValueError(text.format(name=name, value=value, meaning=meaning))
