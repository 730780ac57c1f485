"""Of what a model's tokens are: whole pieces of words, or letters, signs and bytes one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from txpanel.errors import TxpanelError

if TYPE_CHECKING:
    from txpanel.lessons.situation import Situation
    from txpanel.models.language_model import LanguageModel

__all__ = ["has_blanks", "has_pieces"]

LOOKED_AT = 400
"""Tokens, spread evenly over the vocabulary."""
PIECES = 0.3
"""Of a vocabulary of pieces far more are longer than one sign; of one of letters or bytes none but marks such as “</s>”."""
BLANKS = 0.05

_looked: WeakKeyDictionary[LanguageModel, tuple[float, float]] = WeakKeyDictionary()


def has_pieces(here: Situation) -> bool:
    """Whether many tokens are longer than one sign."""
    return _shares(here)[0] > PIECES


def has_blanks(here: Situation) -> bool:
    """Whether many tokens of several signs begin with a blank."""
    return _shares(here)[1] > BLANKS


def _shares(here: Situation) -> tuple[float, float]:
    """Of the vocabulary, how many tokens have several signs, and how many of these begin with a blank."""
    model = here.trace.model
    if model is None:  # a run from a file: its own text is all there is
        return _counted(here.trace.tokens.pieces)
    if model not in _looked:
        _looked[model] = _counted(_sample(model) or here.trace.tokens.pieces)
    return _looked[model]


def _sample(model: LanguageModel) -> list[bytes]:
    try:
        known = min(model.rows, len(model.tokenizer) or model.rows)
        ids = np.unique(np.linspace(0, known - 1, min(LOOKED_AT, known)).astype(int))
        special = {int(one) for one in getattr(model.tokenizer, "all_special_ids", None) or []}
        return model.tokens([int(one) for one in ids if int(one) not in special]).pieces
    except (TxpanelError, TypeError, ValueError, IndexError):
        return []


def _counted(pieces: list[bytes]) -> tuple[float, float]:
    long = [one for one in pieces if len(one.decode("utf-8", "ignore").strip("\n")) > 1]
    total = max(1, len(pieces))
    return len(long) / total, sum(one.startswith(b" ") for one in long) / total
