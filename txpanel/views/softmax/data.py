"""The numbers of the softmax view: from the logits of the whole vocabulary to probabilities, nothing left out. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from txpanel.tracing.graph.derived import others
from txpanel.tracing.operations.shares import BINS, bin_of, edges

__all__ = [
    "Distribution",
    "Histogram",
    "distribution",
    "histogram",
    "logits_at",
    "others_name",
    "search",
    "token_names",
    "vocabulary",
]

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """A softmax over the whole vocabulary, every step of it.

    Attributes:
        logits: float32 [V], as the model gave them.
    """

    logits: npt.NDArray[np.float32]

    @property
    def size(self) -> int:
        """Tokens in the vocabulary."""
        return len(self.logits)

    @cached_property
    def largest(self) -> int:
        """The token with the largest logit."""
        return int(self.logits.argmax())

    @property
    def max(self) -> float:
        """The largest logit."""
        return float(self.logits[self.largest])

    @cached_property
    def powers(self) -> Doubles:
        """``e^(logit - max)``, float64 [V]: between 0 and 1."""
        return np.exp(self.logits.astype(np.float64) - self.max)

    @cached_property
    def sum(self) -> float:
        """Of all powers: at least 1."""
        return float(self.powers.sum())

    @cached_property
    def probabilities(self) -> Doubles:
        """float64 [V]: powers divided by their sum."""
        return self.powers / self.sum

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """int64 [V]: tokens from the likeliest down, ties by id."""
        return np.argsort(-self.logits, kind="stable").astype(np.int64)

    @cached_property
    def ranks(self) -> npt.NDArray[np.int64]:
        """int64 [V]: the place of each token in `order`, 0 for the likeliest."""
        ranks = np.empty(self.size, np.int64)
        ranks[self.order] = np.arange(self.size)
        return ranks

    @cached_property
    def entropy(self) -> float:
        """In bits: 0 when one token is certain, log2 V when all are equally likely."""
        p = self.probabilities[self.probabilities > 0]
        return max(0.0, float(-(p * np.log2(p)).sum()))


def logits_at(trace: Any, position: int) -> npt.NDArray[np.float32]:
    """What the model said after the token at `position`, float32 [V]."""
    last = position == len(trace.tokens.ids) - 1
    return np.asarray((trace.logits if last else trace.logits_at(position)).values, np.float32)


def distribution(trace: Any, position: int) -> Distribution:
    """The softmax after the token at `position`."""
    return Distribution(logits_at(trace, position))


@dataclass(frozen=True)
class Histogram:
    """Logits in bins of equal width.

    Attributes:
        edges: float64 [B + 1]. counts: int64 [B], tokens in a bin. mass: float64 [B], the probability they hold together.
    """

    edges: Doubles
    counts: npt.NDArray[np.int64]
    mass: Doubles


def histogram(found: Distribution) -> Histogram:
    """How many tokens have such a logit, and how much probability they hold: the bins of the trace's ``probs.bins``."""
    places = bin_of(found.logits)
    inside = places >= 0
    counts = np.bincount(places[inside], minlength=BINS)
    mass = np.bincount(places[inside], found.probabilities[inside], BINS).astype(np.float64)
    return Histogram(edges(found.logits), counts.astype(np.int64), mass)


def others_name(order: npt.NDArray[np.int64], listed: Sequence[int]) -> str:
    """The end of the name of a sum over all tokens but those `listed`: ``others.20.311`` without the 20 likeliest and token 311.

    Args:
        order: tokens from the likeliest down, ties by id.
    """
    out = np.zeros(len(order), bool)
    out[list(listed)] = True
    best = int(np.argmin(out[order])) if not out.all() else len(order)
    return others(best, set(listed) - set(order[:best].tolist()))


def ranked(found: Distribution, points: int = 400) -> npt.NDArray[np.int64]:
    """Places in `Distribution.order` that a curve is drawn through: all of the first, then ever fewer; int64, ending with the last."""
    return np.unique(np.round(np.geomspace(1, found.size, points)).astype(np.int64)) - 1


_NAMES: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()


def vocabulary(model: Any) -> list[str]:
    """What to show for every token of a model's vocabulary; made once per model."""
    if model not in _NAMES:
        _NAMES[model] = model.tokens(list(range(model.anatomy.vocab))).strings
    return _NAMES[model]


def token_names(trace: Any, ids: Any) -> list[str]:
    """What to show for some tokens; their ids where the trace was opened without its model's tokenizer."""
    wanted = [int(i) for i in ids]
    if trace.model is not None:
        return list(trace.model.tokens(wanted).strings)
    seen = dict(zip(trace.tokens.ids.tolist(), trace.tokens.strings, strict=True))
    return [seen.get(i, f"#{i}") for i in wanted]


def search(trace: Any, wanted: str, most: int = 5) -> list[int]:
    """Tokens for what somebody typed: the text itself (with and without a space before it), then tokens that begin with it, then any that hold it.

    A whole number is also taken as a token's id.
    """
    if not wanted or trace.model is None:
        return []
    names = vocabulary(trace.model)
    bare = wanted.strip()
    found = [int(bare)] if bare.isdigit() and int(bare) < len(names) else []
    exact = {wanted: 0, f" {bare}": 1, bare: 2}
    hits = sorted((exact[name], i) for i, name in enumerate(names) if name in exact)
    starts: list[tuple[int, int]] = []
    holds: list[tuple[int, int]] = []
    low = bare.lower()
    for i, name in enumerate(names):
        text = name.strip().lower()
        if low and low in text:
            (starts if text.startswith(low) else holds).append((len(text), i))
    ordered = [i for _rank, i in hits] + [i for _length, i in sorted(starts)] + [i for _length, i in sorted(holds)]
    return list(dict.fromkeys(found + ordered))[:most]
