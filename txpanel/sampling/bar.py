"""The draw: a bar from 0 to 1, divided among the tokens that are left, and one number that falls on it.

Pieces lie likeliest first, each as wide as its probability; a uniform number ``u`` in [0, 1) falls into exactly one,
and that is the next token. ``u`` comes from NumPy's PCG64 generator and depends on the seed alone: the same seed gives
the same ``u`` on every machine, and a slider that changes the probabilities moves the pieces under a ``u`` that stays
where it is. Successive tokens use successive seeds (`txpanel.generate`, `ModelState.append`): each has a number of its
own, and all can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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


def uniform(seed: int) -> float:
    """The number in [0, 1) that a seed stands for."""
    return float(np.random.default_rng(seed).random())


def edges(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 [K + 1]: where the pieces of K probabilities, in the order of the bar, begin and end; 0 first, 1 last."""
    found = np.concatenate([[0.0], np.cumsum(probabilities)])
    found[found >= found[-1]] = 1.0  # the sum of K roundings may miss 1 by a hair: no u may fall off the end
    return found


def draw(probabilities: npt.NDArray[np.float64], seed: int) -> Draw:
    """The piece into which the seed's number falls, of [K] probabilities in the order of the bar."""
    u, at = uniform(seed), edges(probabilities)
    rank = int(np.searchsorted(at, u, side="right")) - 1
    return Draw(seed, u, float(at[rank]), float(at[rank + 1]), rank)
