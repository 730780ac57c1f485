"""The numbers of the softmax view beside the distribution itself: its histogram, its curve by rank, and the search for a token. Nothing here draws."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from txpanel.models.memory import Store
from txpanel.tracing.operations.shares import BINS, bin_of, edges
from txpanel.views.distribution import Distribution, Doubles

__all__ = ["Histogram", "histogram", "ranked", "search", "vocabulary"]


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


def ranked(found: Distribution, points: int = 400) -> npt.NDArray[np.int64]:
    """Ranks (places in `Distribution.order`) through which a curve is drawn: all of the first, then at growing distances, and the last; int64 [P]."""
    return np.unique(np.round(np.geomspace(1, found.size, points)).astype(np.int64)) - 1


_NAMES: Store[str, list[str]] = Store("vocabularies", lambda names: sum(map(sys.getsizeof, names)))


def vocabulary(model: Any) -> list[str]:
    """What to show for every token of a model's vocabulary; made once per model, while there is room for it."""
    found = _NAMES.get(model.key)
    return found if found is not None else _NAMES.put(model.key, model.tokens(list(range(model.anatomy.vocab))).strings)


def search(trace: Any, wanted: str, most: int = 5) -> list[int]:
    """Ids of tokens that match a typed text: the text itself (with and without a space before it), then tokens that begin with it, then those that contain it.

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
