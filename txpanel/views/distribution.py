"""The next-token distribution: a softmax over the whole vocabulary with every step of it, and what views call its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from txpanel.tracing.graph.derived import others

__all__ = ["Distribution", "distribution", "logits_at", "others_name", "token_names"]

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
        """int64 [V]: token ids from the likeliest down, ties by id."""
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
    """The logits after the token at `position` (for a model that fills gaps: in its place), float32 [V]."""
    return np.asarray((trace.logits if position == trace.answer else trace.logits_at(position)).values, np.float32)


def distribution(trace: Any, position: int) -> Distribution:
    """The softmax over the next token after the token at `position`."""
    return Distribution(logits_at(trace, position))


def token_names(trace: Any, ids: Any) -> list[str]:
    """What to show for some tokens; their ids where the trace was opened without its model's tokenizer."""
    wanted = [int(i) for i in ids]
    if trace.model is not None:
        return list(trace.model.tokens(wanted).strings)
    seen = dict(zip(trace.tokens.ids.tolist(), trace.tokens.strings, strict=True))
    return [seen.get(i, f"#{i}") for i in wanted]


def others_name(order: npt.NDArray[np.int64], listed: Sequence[int]) -> str:
    """The end of the name of a sum over all tokens but those `listed`: ``others.20.311`` without the 20 likeliest and token 311.

    Args:
        order: int64 [V], token ids from the likeliest down, ties by id.
    """
    out = np.zeros(len(order), bool)
    out[list(listed)] = True
    best = int(np.argmin(out[order])) if not out.all() else len(order)
    return others(best, set(listed) - set(order[:best].tolist()))
