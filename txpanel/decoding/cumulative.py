"""The draw: cumulative probabilities divide the range from 0 to 1 among the tokens that are left, and one number falls into it.

The intervals lie likeliest first, each as wide as its probability; a uniform number ``u`` in [0, 1) falls into exactly
one, and that is the next token. ``u`` comes from NumPy's PCG64 generator and depends on the seed alone: the same seed gives
the same ``u`` on every machine, and a slider that changes the probabilities moves the intervals under a ``u`` that
stays where it is. Successive tokens use successive seeds (`txpanel.generate`, `ModelState.append`): each has a number of its
own, and all can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from txpanel.decoding.fast_sort import ascending

HEAD = 1024
"""Tokens that are sorted at first: among them nearly every draw ends."""

SURE = 1 - 1e-9
"""A bound below this is more than the rounding error of a sum away from 1, so it is the same whichever tokens were sorted."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The uniform number and the interval into which it fell: ``low <= uniform < high``.

    Attributes:
        seed: from which `uniform` follows.
        uniform: the number in [0, 1).
        low: probability of all tokens that lie before the drawn one (the likelier ones).
        high: `low` plus the probability of the drawn token.
        rank: how many tokens lie before it; 0 is the likeliest.
    """

    seed: int
    uniform: float
    low: float
    high: float
    rank: int


def uniform(seed: int) -> float:
    """The number in [0, 1) that a seed stands for."""
    return float(np.random.default_rng(seed).random())


def bounds(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 [K + 1]: where the intervals of K probabilities, one after the other, begin and end; 0 first, 1 last."""
    found = np.concatenate([[0.0], np.cumsum(probabilities)])
    found[found >= found[-1]] = 1.0  # rounding may make the sum less than 1: no u may fall outside
    return found


def likeliest(logits: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.int64]:
    """int64 [K]: the ids of the ``most`` largest logits and those that tie with the last, largest first, ties by id.

    Args:
        logits: float32 [V]; those at minus infinity are left out.
        most: how many; V or more for all that are left.
    """
    left = np.flatnonzero(logits > -np.inf)
    values = logits[left]
    if most < len(left):
        near = values >= np.partition(values, -most)[-most]
        left, values = left[near], values[near]
    return left[ascending(-values)].astype(np.int64)


def draw(logits: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float64], seed: int) -> tuple[int, Draw]:
    """The token into whose interval the seed's number falls. Mostly it is among the likeliest: the rest is sorted if not.

    Args:
        logits: float32 [V], by which the intervals are ordered.
        probabilities: float64 [V], their softmax.
        seed: of the number.
    """
    u = uniform(seed)
    for most in (HEAD, len(logits)):
        order = likeliest(logits, most)
        at = bounds(probabilities[order])
        rank = int(np.searchsorted(at, u, side="right")) - 1
        if (
            rank + 1 < len(order) and at[rank + 1] < SURE
        ):  # else u lies within a rounding of the last bound: sort all of them
            break
    return int(order[rank]), Draw(seed, u, float(at[rank]), float(at[rank + 1]), rank)
