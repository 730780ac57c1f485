"""The vocabulary of lessons: every value that a sentence, an answer or a place may name. docs/lessons.md lists them all; a test compares."""

from __future__ import annotations

from txpanel.lessons.values import attention, blocks, comparing, heads, output, shape, sinks, text
from txpanel.lessons.values.declared import VALUES, Found, checked, evaluate, is_slow
from txpanel.lessons.values.shown import shown

__all__ = ["VALUES", "Found", "checked", "evaluate", "is_slow", "shown"]

_DECLARING = (attention, blocks, comparing, heads, output, shape, sinks, text)
