"""Explanations of a cell, cached: the “why this number” card and the pictures that highlight its operands ask for the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from txpanel.errors import TxpanelError
from txpanel.models.memory import Store

if TYPE_CHECKING:
    from txpanel.tracing import Explanation, Trace

__all__ = ["SHOWN", "explained", "highlighted_cells"]

SHOWN = 8
"""Operands listed one by one at first."""

TERM = 500
"""Bytes of an operand with its label and its cell, about."""

_KEPT: Store[tuple[Any, ...], Explanation] = Store("explanations", lambda found: TERM * (1 + len(found.terms)), most=64)
"""The last explanations, of all sessions."""


def explained(trace: Trace, name: str, index: Mapping[str, int]) -> Explanation:
    """`Trace.why`, cached.

    Raises:
        TxpanelError: what `Trace.why` raises.
    """
    key = (trace.uid, name, *sorted(index.items()))
    found = _KEPT.get(key)
    return found if found is not None else _KEPT.put(key, trace.why(name, **index), owner=trace.uid)


def highlighted_cells(trace: Trace | None, question: Any) -> list[tuple[str, dict[str, int]]]:
    """Cells that the pictures highlight: the one in question, and the sources of its largest operands."""
    if trace is None or question is None:
        return []
    try:
        found = explained(trace, question.name, question.index)
    except TxpanelError:
        return []
    largest = found.terms[:SHOWN]
    terms = [
        term for term in largest if term.value
    ] or largest  # an operand of 0 is not highlighted, such as a masked key
    sources = [(s.name, dict(s.index)) for term in terms for s in term.sources]
    return [(question.name, dict(found.index)), *sources]
