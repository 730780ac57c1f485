"""Values of logits, probabilities, sampling and the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from txpanel.decoding.ranges import RANGES
from txpanel.decoding.softmax import softmax
from txpanel.errors import Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import value
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.decoding.sampling import Sample


MIXED = 0.9
"""Where the most likely token has more, hardly another one is drawn."""
APART = 0.5
"""Bits by which two tokens must differ to be asked about."""


def _token(here: Situation, rank: int) -> int:
    if rank > len(here.ranked):
        raise Unsupported(_("The vocabulary has no rank {n}.").format(n=rank))
    return int(here.ranked[rank - 1])


@value("next", "token", "rank")
def _next(here: Situation, rank: int) -> int:
    """The token of a rank by the model's own probabilities."""
    token = _token(here, rank)
    if rank == 1 and len(here.ranked) > 1 and here.logits[token] == here.logits[here.ranked[1]]:
        raise Unsupported(_("Two tokens share the first place here."))
    return token


@value("logit", "number", "rank")
def _logit(here: Situation, rank: int) -> float:
    """Logit of the token of a rank."""
    return float(here.logits[_token(here, rank)])


@value("probability", "share", "rank")
def _probability(here: Situation, rank: int) -> float:
    """Its probability, by the model."""
    return float(here.probabilities[_token(here, rank)])


@value("entropy", "number")
def _entropy(here: Situation) -> float:
    """Entropy of the probabilities, in bits."""
    p = here.probabilities[here.probabilities > 0]
    return max(0.0, float(-(p * np.log2(p)).sum()))


@value("possible", "count")
def _possible(here: Situation) -> int:
    """How many tokens have a probability above 0, by the model's own logits."""
    return int(np.isfinite(here.logits).sum())


def _sample(here: Situation) -> Sample:
    if here.sample is None:
        raise Unsupported(_("Nothing was drawn here."))
    return here.sample


@value("drawn", "token")
def _drawn(here: Situation) -> int:
    """The token that was drawn."""
    return int(_sample(here).token)


@value("drawn.probability", "share")
def _drawn_probability(here: Situation) -> float:
    """Its probability, with the settings in use."""
    sample = _sample(here)
    return float(sample.probabilities[sample.token])


@value("drawn.number", "number")
def _drawn_number(here: Situation) -> float:
    """The random number u between 0 and 1."""
    return float(_sample(here).draw.uniform)


@value("drawn.times", "count", "rank", "number")
def _drawn_times(here: Situation, rank: int, n: float) -> int:
    """How many of the seeds 0 to n-1 draw the token of a rank, with the settings in use."""
    seeds = range(min(1000, max(1, int(n))))
    return int((_sample(here).outcomes(seeds) == _token(here, rank)).sum())


@value("drawn.others", "count", "number")
def _drawn_others(here: Situation, n: float) -> int:
    """How often, in so many draws, another token than the most likely one is to be expected, with the settings in use."""
    return round(n * _chance_others(here))


@value("chance.others", "share")
def _chance_others(here: Situation) -> float:
    """Probability of all tokens but the most likely one together, with the settings in use."""
    return float(np.delete(_sample(here).probabilities.astype(np.float64), _token(here, 1)).sum())


@value("kept", "count")
def _kept(here: Situation) -> int:
    """How many tokens the settings leave."""
    return int((_sample(here).probabilities > 0).sum())


@value("chance", "share", "rank")
def _chance(here: Situation, rank: int) -> float:
    """Probability with the settings in use, of the token of a rank by the model's own."""
    return float(_sample(here).probabilities[_token(here, rank)])


@value("setting", "number", "word")
def _setting(here: Situation, name: str) -> float:
    """A sampling setting by its name."""
    if name not in here.settings:
        raise Unsupported(_("There is no setting “{name}”.").format(name=name[:40]))
    return float(here.settings[name])


@value("at_temperature", "share", "number", "rank")
def _at_temperature(here: Situation, temperature: float, rank: int) -> float:
    """Probability at another temperature, of the token of a rank, without any other setting."""
    return float(_softened(here, temperature)[_token(here, rank)])


@value("next_at_temperature", "token", "number")
def _next_at_temperature(here: Situation, temperature: float) -> int:
    """The most likely token at another temperature."""
    return int(np.argmax(_softened(here, temperature)))


def _softened(here: Situation, temperature: float) -> np.ndarray:
    if not 0.01 <= temperature <= 100:
        raise Unsupported(_("A temperature between 0.01 and 100 is expected."))
    return softmax(here.logits / temperature)


@value("temperature.mixed", "number")
def _temperature_mixed(here: Situation) -> float:
    """The first of the temperatures 1, 2, 3 … at which the most likely token has less than 90 %; refused where none does."""
    for temperature in range(1, int(RANGES["temperature"][2]) + 1):
        if _softened(here, temperature).max() < MIXED:
            return float(temperature)
    raise Unsupported(_("One token is nearly certain here."))


@value("run.ahead", "count")
def _run_ahead(here: Situation) -> int:
    """For how many tokens ahead a run gives probabilities: rows of its logits."""
    return 1 if here.trace.logits.ndim == 1 else len(here.trace.logits)


@value("given", "share", "place")
def _given(here: Situation, at: int) -> float:
    """The probability that the model gave to a token of the text, from the tokens before it."""
    bits = float(np.asarray(here.trace.surprisal())[at])
    if not np.isfinite(bits):
        raise Unsupported(_("Nothing comes before the first token, so it has no probability."))
    return float(2.0**-bits)


@value("given.least", "place")
def _given_least(here: Situation) -> int:
    """The token of the text to which the model gave the smallest probability; refused where all are alike."""
    return _extremes(here)[0]


@value("given.most", "place")
def _given_most(here: Situation) -> int:
    """The one to which it gave the largest."""
    return _extremes(here)[1]


def _extremes(here: Situation) -> tuple[int, int]:
    bits = np.asarray(here.trace.surprisal(), np.float64)
    known = np.flatnonzero(np.isfinite(bits))
    if len(known) < 2 or np.ptp(bits[known]) < APART:
        raise Unsupported(_("The model found all tokens of this text about as likely."))
    return int(known[bits[known].argmax()]), int(known[bits[known].argmin()])
