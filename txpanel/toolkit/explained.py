"""What pictures and the "why this number" card ask of a trace alike: an explanation, remembered for a moment, and the cells to light."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from txpanel.errors import TxpanelError

if TYPE_CHECKING:
    from txpanel.tracing import Explanation, Trace

__all__ = ["SHOWN", "explained", "lit"]

SHOWN = 8
"""Operands listed one by one before somebody asks for more."""

_KEPT: OrderedDict[tuple[Any, ...], Explanation] = OrderedDict()
"""The last few explanations: the card and all pictures that light up ask for the same one."""


def explained(trace: Trace, name: str, index: Mapping[str, int]) -> Explanation:
    """`Trace.why`, remembered for a moment.

    Raises:
        TxpanelError: what `Trace.why` raises.
    """
    key = (trace.uid, name, *sorted(index.items()))
    if key not in _KEPT:
        _KEPT[key] = trace.why(name, **index)
        while len(_KEPT) > 8:
            _KEPT.popitem(last=False)
    return _KEPT[key]


def lit(trace: Trace | None, question: Any) -> list[tuple[str, dict[str, int]]]:
    """Cells that light up in the pictures: the one in question, and the sources of its largest operands."""
    if trace is None or question is None:
        return []
    try:
        found = explained(trace, question.name, question.index)
    except TxpanelError:
        return []
    largest = found.terms[:SHOWN]
    terms = [
        term for term in largest if term.value
    ] or largest  # what has no part in it stays dark, such as a key ahead
    sources = [(s.name, dict(s.index)) for term in terms for s in term.sources]
    return [(question.name, dict(found.index)), *sources]
