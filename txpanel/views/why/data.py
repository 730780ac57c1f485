"""The content of a "why this number" card as plain data, built from an `Explanation`. Nothing here draws."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.errors import TxpanelError
from txpanel.messages import _, plural
from txpanel.toolkit.explained import SHOWN, explained
from txpanel.toolkit.format import count, number
from txpanel.toolkit.formula import mathml
from txpanel.toolkit.vector_strips import scale_of
from txpanel.tracing.names import cell_name
from txpanel.tracing.operations.base import Terms, values_of
from txpanel.tracing.operations.shares import bin_of
from txpanel.views.why.titles import title
from txpanel.views.why.words import block, closed_words, logits_of, sentence, short, whose

if TYPE_CHECKING:
    from txpanel.tracing import Explanation, Source, Term, Trace

MORE = 20
"""Operands that the button "more" adds to the list."""

MEASURES = frozenset({"length", "cosine", "entropy", "surprisal", "shifted", "exponential", "others", "bin"})
"""Operations that are not steps of the model: they describe its numbers in pictures."""

_MINUS = re.compile(r"(?<![\w)\]])-(?=[\w(∞])|(?<= )-(?= )")
"""A hyphen that is a minus sign, not part of a name."""

TOKENS = {"token": lambda: _("token"), "query": lambda: _("query"), "key": lambda: _("key")}
HEADS = {"head": lambda: _("head"), "kv_head": lambda: _("key/value head")}
"""What dimensions are called on the page, where that is not their name."""


def exact(value: float) -> str:
    """A float32 with as many digits as it takes to get it back."""
    return (
        str(value)
        if not math.isfinite(value) or value == int(value)
        else np.format_float_positional(np.float32(value), unique=True, trim="-")
    )


def chips(trace: Trace, index: Mapping[str, int]) -> list[list[str]]:
    """The cell in words: dimension, what it is called, its number, and the token where it is one. Heads count from 1, as everywhere on the page."""
    strings = trace.tokens.strings

    def chip(dim: str, i: int) -> list[str]:
        if dim in HEADS:
            return [dim, HEADS[dim](), str(i + 1), ""]
        if dim == "vocab" and trace.model is not None and 0 <= i < trace.anatomy.vocab:
            return [dim, _("token"), _("id {id}").format(id=count(i)), str(trace.model.tokens([i]).strings[0])]
        if dim in TOKENS and 0 <= i < len(strings):
            return [dim, TOKENS[dim](), _("position {pos}").format(pos=i + 1), strings[i]]
        return [dim, dim, str(i), ""]

    return [chip(dim, i) for dim, i in index.items()]


def code(name: str, index: Mapping[str, int]) -> str:
    """The cell as code, as tooltips have it."""
    return f"{name} [{', '.join(f'{dim} {i}' for dim, i in index.items())}]" if index else name


def _source(source: Source, factor: float | None) -> dict[str, Any]:
    text = number(factor) if factor is not None else short(source.name)
    return {"say": text, "title": cell_name(source.name, source.index), "name": source.name, "at": dict(source.index)}


def term_rows(explanation: Explanation, shown: int) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The `shown` largest operands, and the rest of them as one row (None if nothing is left over)."""
    terms = explanation.terms
    rows = []
    for i, term in enumerate(terms[:shown]):
        factors = [*term.factors, *[None] * len(term.sources)]
        sources = [_source(source, factors[j]) for j, source in enumerate(term.sources)]
        rows.append(
            {
                "at": i,
                "label": _label(term, explanation.name),
                "value": _finite(term.value),
                "say": number(term.value),
                "sources": sources,
            }
        )
    left = len(terms) - shown
    if left <= 0:
        return rows, None
    value = math.fsum(values_of(terms)[shown:])
    label = plural("{n} other", "{n} others", left).format(n=count(left))
    more = _("show {n} more").format(n=min(MORE, left))
    return rows, {"label": label, "value": _finite(value), "say": number(value), "more": more}


def _label(term: Term, of: str) -> str:
    """What an operand is; with its block where that is another one than its result's."""
    name = term.sources[0].name if term.sources else ""
    if term.sources and term.label == f"head {term.sources[0].index.get('head')}":
        return _("head {n}").format(n=term.sources[0].index["head"] + 1)  # as the page counts
    if term.label == short(name) and (there := block(name)) and there != block(of):
        return _("{tensor} of {block}").format(tensor=term.label, block=there)
    return _MINUS.sub("−", term.label)


def _finite(value: float) -> float:
    """A number that JSON can hold: infinities become ±1e30, NaN 0."""
    return float(np.clip(np.nan_to_num(value, nan=0.0), -1e30, 1e30))


def product(explanation: Explanation) -> dict[str, Any] | None:
    """Row and column of a matrix product in their own order, when that is what the operands are.

    Returns:
        None for every other step; else ``row`` and ``column`` (float32 ``[n]``), ``factor``, ``bias`` (float or None),
        ``cells``: per step the two `Source` objects; ``value == bias + factor * sum(row * column)`` up to rounding.
    """
    terms = explanation.terms
    if isinstance(terms, Terms):
        return _product_of_arrays(terms)
    pairs = [t for t in terms if len(t.sources) == 2 and len(t.factors) == 2]
    rest = [t for t in terms if len(t.sources) != 2]
    names = {tuple(s.name for s in t.sources) for t in pairs}
    if len(pairs) < 2 or len(rest) > 1 or len(names) != 1 or len(pairs) + len(rest) != len(terms):
        return None
    axis = _running(pairs)
    if axis is None:
        return None
    ordered = sorted(pairs, key=lambda t: tuple(t.sources[0].index.values()))
    row, column = (np.array([t.factors[j] for t in ordered], np.float64) for j in (0, 1))
    whole = row * column
    top = int(np.abs(whole).argmax())
    factor = float(ordered[top].value / whole[top]) if whole[top] else 1.0
    factor = 1.0 if abs(factor - 1) < 1e-6 else factor
    values = np.array([t.value for t in ordered])
    if not np.allclose(values, factor * whole, rtol=1e-4, atol=1e-6 * max(1.0, float(np.abs(values).max()))):
        return None
    return {"row": row.astype(np.float32), "column": column.astype(np.float32), "factor": factor, "bias": rest[0].value if rest else None,
            "cells": [t.sources for t in ordered], "axis": axis, "names": next(iter(names))}  # fmt: skip


def _product_of_arrays(terms: Terms) -> dict[str, Any] | None:
    """`product` for operands that are held as arrays (`Terms`)."""
    n = len(terms)
    if n < 2 or len(terms.factors) != 2:
        return None
    ends = [terms.own(0), terms.own(n - 1)]
    row, column = terms.factors
    if len(ends[0].sources) != 2 or (axis := _running(ends)) is None or not np.allclose(terms.values, row * column):
        return None
    return {"row": row.astype(np.float32), "column": column.astype(np.float32), "factor": 1.0, "bias": None,
            "cells": _Cells(terms), "axis": axis, "names": tuple(s.name for s in ends[0].sources)}  # fmt: skip


class _Cells:
    """The two sources of each product, made when one is clicked."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __getitem__(self, at: int) -> tuple[Source, ...]:
        return self._terms.own(at).sources

    def __len__(self) -> int:
        return len(self._terms)


def _running(pairs: Sequence[Term]) -> str | None:
    """The dimension of the first source over which a sum of products runs; None when none changes."""
    first, last = pairs[0].sources[0].index, pairs[-1].sources[0].index
    moving = [dim for dim in first if first[dim] != last.get(dim)]
    return moving[-1] if moving else None


def _product_card(explanation: Explanation, start: int) -> tuple[dict[str, Any] | None, list[np.ndarray]]:
    found = product(explanation)
    if found is None:
        return None, []
    row, column, n = found["row"], found["column"], len(found["row"])
    left, right = (short(name) for name in found["names"])
    title = _("Row × column, step by step ({n} products)").format(n=count(n))
    card = {
        "title": title, "length": n, "factor": found["factor"], "bias": found["bias"],
        "row": {"label": left, "start": start, "scale": scale_of([row])},
        "column": {"label": right, "start": start + n, "scale": scale_of([column])},
    }  # fmt: skip
    return card, [row, column]


def totals(explanation: Explanation) -> list[list[str]]:
    """The sum of the operands, and what the model's run recorded."""
    n = len(explanation.terms)
    values = values_of(explanation.terms)
    added = math.fsum(values) if all(map(math.isfinite, values)) else explanation.terms[0].value
    label = plural("the only term", "sum of all {n} terms", n).format(n=count(n))
    digits = 4 if number(added) == number(explanation.value) else 7
    measured = explanation.operation in MEASURES or explanation.name.startswith("lens.")
    whole = _("computed directly") if measured else _("recorded in this run")
    return [[label, number(added, digits)], [whole, number(explanation.value, digits)]]


def check(explanation: Explanation) -> dict[str, Any] | None:
    """The mark beside the value: recomputed and equal, or not."""
    if explanation.opaque is not None:
        return _again(explanation)
    if not explanation.terms:
        return None
    found = explanation.check
    detail = _("recomputed from its terms: difference {difference}, allowed {tolerance}")
    title = detail.format(difference=number(found.difference), tolerance=number(found.tolerance))
    title = f"{title} {explanation.note}".rstrip()
    return {"ok": bool(found.ok), "label": _("recomputed") if found.ok else _("does not agree"), "title": title}


def _again(explanation: Explanation) -> dict[str, Any] | None:
    """As `check`, for a number of a closed part: its module was called again with the same input."""
    found = explanation.check
    if not math.isfinite(found.difference):
        return None
    detail = _("the module was run again with the same input: difference {difference}, allowed {tolerance}")
    title = detail.format(difference=number(found.difference), tolerance=number(found.tolerance))
    return {
        "ok": bool(found.ok),
        "label": _("run again: same number") if found.ok else _("run again: different number"),
        "title": title,
    }


def closed(trace: Trace, explanation: Explanation, focus: Mapping[str, int] | None = None) -> dict[str, Any] | None:
    """For a number that a closed part has computed: sentences about it, and its inputs; None for all others.

    Returns:
        ``said`` (sentences), ``again`` (what calling it again gave), ``inputs``: ``label``, ``title``, ``name`` and ``at`` of each.
    """
    if explanation.opaque is None:
        return None
    found = explanation.check
    if math.isfinite(found.difference):
        again = _(
            "For this card, that code was run again with the same input: difference {difference}, allowed {tolerance}."
        )
        again = again.format(tolerance=number(found.tolerance), difference=number(found.difference))
    else:
        again = explanation.note
    inputs = []
    operation = trace.operation(explanation.name)
    known = dict(explanation.index)
    if (row := getattr(operation, "row", None)) is not None:
        known["token"] = row % len(trace.tokens.ids)
    for name in explanation.inputs:
        if name in trace:
            at = fed_index(trace, name, known, focus or {})
            cell = cell_name(name, {dim: i for dim, i in at.items() if dim in TOKENS})
            inputs.append({"label": short(name), "title": cell, "name": name, "at": at})
    return {"said": closed_words(trace, explanation), "again": again, "inputs": inputs}


def fed_index(trace: Trace, name: str, known: Mapping[str, int], focus: Mapping[str, int]) -> dict[str, int]:
    """Index of a cell of `name` that is computed from the cell `known`: its coordinates where they apply, else the focus, else the likeliest token, or 0."""
    also = dict(known)
    for one, other in (("token", "query"), ("query", "token"), ("key", "token"), ("token", "key")):
        if one in known:
            also.setdefault(other, known[one])
    index = {}
    for dim, length in zip(trace.dims(name), trace.shape(name), strict=True):
        likeliest = int(trace.tensor(name).argmax()) if dim == "vocab" else 0
        if dim == "bin" and "vocab" in known:  # the bin that this token's logit falls in
            likeliest = int(bin_of(trace.tensor(logits_of(trace, name)).numpy())[known["vocab"]])
        wanted = also.get(dim, focus.get(dim, likeliest))
        index[dim] = int(min(max(wanted, 0), length - 1))
    if {"query", "key"} <= index.keys() and index["key"] > index["query"]:
        index["query"] = index["key"]
    return index


def card(
    trace: Trace, name: str, index: Mapping[str, int], *, shown: int = SHOWN, start: int = 0
) -> tuple[dict[str, Any], list[np.ndarray], Explanation | None]:
    """One card.

    Args:
        name, index: the cell in question.
        shown: how many operands are listed one by one.
        start: where this card's vectors begin in the array that is sent with the cards.

    Returns:
        What the browser draws; the vectors of its matrix product; the explanation (None where there is none, then ``text`` says why).
    """
    out: dict[str, Any] = {
        "name": name, "title": title(trace, name), "code": code(name, index),
        "block": block(name), "index": chips(trace, index), "say": "–", "exact": "", "check": None, "formula": None, "text": "", "terms": [],
        "rest": None, "totals": [], "product": None, "closed": None, "feeds": [], "crumbs": [], "back": False, "forward": False, "can_pin": False,
    }  # fmt: skip
    try:
        found = explained(trace, name, index)
    except TxpanelError as error:
        return {**out, "text": str(error)}, [], None
    rows, rest = term_rows(found, shown)
    matrix, vectors = _product_card(found, start)
    out |= {
        "code": code(name, found.index), "index": chips(trace, found.index), "say": number(found.value), "exact": exact(found.value), "check": check(found),
        "formula": mathml(found.formula) if found.formula else None,
        "text": f"{whose(trace, name, found.index)} {sentence(found.operation, len(found.terms))}".strip(), "terms": rows, "rest": rest,
        "totals": totals(found) if found.terms else [], "product": matrix, "closed": closed(trace, found),
        "feeds": [{"label": short(fed), "title": fed} for fed in found.feeds],
    }  # fmt: skip
    return out, vectors, found
