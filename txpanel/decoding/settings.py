"""How the next token is drawn, as one value that refuses what is impossible."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from txpanel.messages import _


@dataclass(frozen=True, slots=True)
class Settings:
    """How the next token is drawn; refuses impossible values in words. The defaults leave the model as it is.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token, 1 is off.
        top_k: keep the k likeliest tokens (and those that tie with the last of them); 0 is off.
        top_p: keep the likeliest tokens that together reach this probability; 1 is off.
        min_p: keep tokens at least this share as likely as the likeliest; 0 is off.
        seed: of the uniform number.
        typical_p: keep the tokens whose surprisal is closest to the entropy until they reach this probability; 1 is off.
        repetition_penalty: logits of tokens that occurred are divided by it where positive, multiplied where negative;
            1 is off, above 1 makes repeating less likely.
        no_repeat_ngram_size: remove each token that would repeat a run of this many tokens; 0 is off.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0

    def __post_init__(self) -> None:
        if not (_is_number(self.temperature) and 0 <= self.temperature < math.inf):
            text = _("The temperature is {value}, but it must be a number, 0 (always the likeliest token) or more.")
            raise ValueError(text.format(value=self.temperature))
        if not (_is_number(self.repetition_penalty) and 0 < self.repetition_penalty < math.inf):
            text = _("repetition_penalty is {value}, but it must be a number above 0; 1 is off.")
            raise ValueError(text.format(value=self.repetition_penalty))
        _require_whole("top_k", self.top_k, _("0 (off) or the number of tokens to keep"))
        _require_whole("seed", self.seed, _("0 or more"))
        _require_whole("no_repeat_ngram_size", self.no_repeat_ngram_size, _("0 (off) or a length in tokens"))
        for name, value in (("top_p", self.top_p), ("min_p", self.min_p)):
            if not (_is_number(value) and 0 <= value <= 1):
                text = _("{name} is {value}, but it is a probability and must lie between 0 and 1.")
                raise ValueError(text.format(name=name, value=value))
        if not (_is_number(self.typical_p) and 0 < self.typical_p <= 1):
            text = _("typical_p is {value}, but it is a probability above 0, at most 1 (off).")
            raise ValueError(text.format(value=self.typical_p))

    @property
    def looks_back(self) -> bool:
        """Whether a stage needs the token ids so far."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0


FIELDS = tuple(field.name for field in fields(Settings))
"""Names of all settings, those of `pipeline`, `generate` and `ModelState`."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _require_whole(name: str, value: object, meaning: str) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        text = _("{name} is {value}, but it must be a whole number: {meaning}.")
        raise ValueError(text.format(name=name, value=value, meaning=meaning))
