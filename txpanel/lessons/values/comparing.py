"""Values that compare others: which is the largest, whether two are equal."""

from __future__ import annotations

import math

from txpanel.errors import Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import Found, value
from txpanel.messages import _

CLEAR = 0.02
"""Numbers that differ by less than this share are not asked about: in a picture they look the same."""


@value("largest", "word", "word", "number", "word", "number", "...")
def _largest(here: Situation, *pairs: str | float) -> str:
    """The word of the largest number; refused where a second one comes close."""
    found = sorted(((float(pairs[i + 1]), str(pairs[i])) for i in range(0, len(pairs), 2)), reverse=True)
    if not found[0][0] - found[1][0] > CLEAR * abs(found[0][0]):
        raise Unsupported(_("These numbers are too close to each other here."))
    return found[0][1]


@value("same", "word", "any", "any")
def _same(here: Situation, one: Found, other: Found) -> str:
    """“yes” or “no”: whether two values are equal."""
    return "yes" if equal(one, other) else "no"


@value("above", "word", "number", "number")
def _above(here: Situation, one: float, other: float) -> str:
    """“yes” or “no”: whether one number is larger than another one."""
    return "yes" if one > other else "no"


@value("ratio", "number", "number", "number")
def _ratio(here: Situation, one: float, other: float) -> float:
    """One number divided by another one."""
    return one / other


@value("difference", "number", "number", "number")
def _difference(here: Situation, one: float, other: float) -> float:
    """One number minus another one."""
    return one - other


@value("rest", "share", "number")
def _rest(here: Situation, share: float) -> float:
    """What is left of 100 % beside a share."""
    return 1 - share


@value("sum", "number", "number", "number")
def _sum(here: Situation, one: float, other: float) -> float:
    """Two numbers added."""
    return one + other


@value("rounded_up", "count", "number", "number")
def _rounded_up(here: Situation, one: float, unit: float) -> int:
    """A number rounded up to a multiple of another one."""
    return math.ceil(one / unit) * int(unit)


@value("apart", "number", "any", "any", "number")
def _apart(here: Situation, one: Found, other: Found, least: float) -> Found:
    """The first value; refused where it is not so far from the second one: what a confusion would answer must not be taken for right."""
    if isinstance(one.raw, str) or isinstance(other.raw, str) or abs(one.raw - other.raw) < least:
        raise Unsupported(_("These numbers are too close to each other here."))
    return one


def equal(one: Found, other: Found) -> bool:
    """Whether two values are the same: words and tokens exactly, numbers up to rounding."""
    if isinstance(one.raw, str) or isinstance(other.raw, str):
        return one.raw == other.raw
    return math.isclose(one.raw, other.raw, rel_tol=1e-6, abs_tol=1e-9)
