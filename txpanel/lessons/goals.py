"""The goals of a task “do”: a value of the session's state, and the condition that it must meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from txpanel.decoding.ranges import RANGES
from txpanel.errors import BadLesson
from txpanel.lessons.lesson import PLACES, Goal
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.lessons.situation import Situation

__all__ = ["NAMES", "facts", "goal", "moved", "reached"]

NUMBERS = (*RANGES, *PLACES, "generated", "tokens")
WORDS = ("opened", "asked", "text", "model", "played")
NAMES = NUMBERS + WORDS
"""opened: id of the view that is unfolded; asked: short name of the tensor in question; played: ▶ Play has run."""


def goal(name: str, text: str) -> Goal:
    """A goal from its line, such as ``temperature: above 1.2``.

    Raises:
        BadLesson: no state has that name, or it cannot be compared like this.
    """
    how, _blank, value = text.strip().partition(" ")
    if name not in NAMES:
        raise BadLesson(_("“{name}” cannot be reached; there are: {all}.").format(name=name[:40], all=", ".join(NAMES)))
    if how == "changed" and not value:
        return Goal(name, "changed")
    if how in ("above", "below") and name in NUMBERS and _is_number(value):
        return Goal(name, "above" if how == "above" else "below", value.strip())
    if how == "is" and value.strip() and (name in WORDS or _is_number(value)):
        return Goal(name, "is", value.strip())
    raise BadLesson(_("A goal is “above 1”, “below 1”, “is 1” or “changed”, not “{text}”.").format(text=text[:40]))


def facts(here: Situation) -> dict[str, float | str]:
    """The present values of everything that a goal can name."""
    found: dict[str, float | str] = {name: float(here.settings[name]) for name in RANGES if name in here.settings}
    found |= {name: float(getattr(here, name)) for name in (*PLACES, "generated")}
    model = here.trace.model
    return found | {
        "tokens": float(len(here.ids)),
        "opened": here.opened,
        "asked": here.asked,
        "text": here.trace.text,
        "model": model.name if model is not None else "",
        "played": str(here.played),
    }


def reached(goals: tuple[Goal, ...], now: Mapping[str, float | str], begun: Mapping[str, float | str]) -> bool:
    """Whether all goals are reached.

    Args:
        begun: the values of `facts` when the step began.
    """
    return all(_reached(one, now.get(one.name, ""), begun.get(one.name, "")) for one in goals)


def moved(goals: tuple[Goal, ...], now: Mapping[str, float | str], begun: Mapping[str, float | str]) -> bool:
    """Whether any value that the goals name has changed since the step began; if not, nothing was done yet."""
    return any(now.get(one.name) != begun.get(one.name) for one in goals)


def _reached(one: Goal, now: float | str, begun: float | str) -> bool:
    if one.how == "changed":
        return now != begun
    if isinstance(now, str):
        return now == one.value
    wanted = float(one.value)
    return now > wanted if one.how == "above" else now < wanted if one.how == "below" else abs(now - wanted) < 1e-9


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e9
    except ValueError:
        return False
