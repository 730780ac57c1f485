"""How a value is written in a sentence."""

from __future__ import annotations

from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import Found
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count, number, percent, size

__all__ = ["shown"]


def shown(found: Found, here: Situation) -> str:
    """The value as a person reads it: positions and indices count from 1, a token with its blanks drawn."""
    if isinstance(found.raw, str):
        return found.raw
    if found.kind == "token":
        return visible(here.spelling(int(found.raw)))
    if found.kind in ("place", "ordinal"):
        return count(int(found.raw) + 1)
    if found.kind == "count":
        return count(round(found.raw))
    if found.kind == "share":
        return percent(found.raw)
    return size(found.raw) if found.kind == "size" else number(found.raw, 3)
