"""How a value is written in a sentence."""

from __future__ import annotations

from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import Found
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count, number, percent, size

__all__ = ["shown"]

LEAST = 0.001
"""Smaller numbers and percentages would be written with powers of ten: in a sentence words say it."""


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
        return _share(found.raw)
    return size(found.raw) if found.kind == "size" else _number(found.raw)


def _share(share: float) -> str:
    if 0 < share * 100 < LEAST:
        return _("less than {n} %").format(n=LEAST)
    written = percent(share)
    return _("more than {n}").format(n=written[2:]) if written.startswith("> ") else written


def _number(value: float) -> str:
    if 0 < abs(value) < LEAST:
        return (_("less than {n}") if value > 0 else _("between −{n} and 0")).format(n=LEAST)
    return f"{value:,.0f}".replace("-", "−") if 1e6 <= abs(value) < 1e15 else number(value, 3)
