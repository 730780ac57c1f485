"""Attention's tensors computed in slices: for one number one row of one head, for a whole map a few rows at a time.

A map of scores has as many numbers as tokens squared, for each head and each step from scores to pattern. Its operations work row by row,
so a slice of their inputs gives a slice of their outputs: what one number needs is one row, and a long text's maps are never all in memory.

Letters: H heads, Q queries, S keys.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from txpanel.tracing.graph.build import Graph
from txpanel.tracing.operations.attention import Bias, Mask, RowMax, RowSum, Scores, Softmax, WeightedSum
from txpanel.tracing.operations.base import Operation, Values
from txpanel.tracing.operations.elementwise import SoftCap
from txpanel.tracing.operations.linear import HeadOutput
from txpanel.tracing.operations.measures import Length

ROW_BY_ROW = (Scores, SoftCap, Bias, Mask, RowMax, RowSum, Softmax, WeightedSum, Length)
WHOLE = 1 << 22
"""Numbers of a step of attention (all heads) up to which it is computed, and kept, as a whole."""
AT_ONCE = 1 << 20
"""Numbers of one head's step that are computed together where it is not."""


class Run(Protocol):
    """What these functions need of a run; a :class:`~txpanel.tracing.Trace` is one."""

    graph: Graph

    def operation(self, name: str) -> Operation | None:
        """The operation that makes a tensor."""

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of a tensor's dimensions."""

    def tensor(self, name: str) -> Tensor:
        """A tensor as a whole."""

    def kept(self, name: str) -> Tensor | None:
        """A tensor as a whole if it is there already."""


def by_rows(run: Run, name: str) -> bool:
    """Whether a tensor is a step of attention that can be computed row by row: it has heads, and is a map of queries and keys or follows from one."""
    operation = run.operation(name)
    if operation is None or operation.dims[:1] != ("head",) or not _works_by_rows(operation):
        return False
    return "query" in operation.dims or any(by_rows(run, source) for source in operation.inputs)


def _works_by_rows(operation: Operation) -> bool:
    """Whether rows of its inputs give rows of its output, head by head. Not the output projection with adapters, in which heads share a part."""
    if isinstance(operation, HeadOutput):
        return operation.map is not None and not operation.map.adapted
    return isinstance(operation, ROW_BY_ROW)


def sizes(run: Run, name: str) -> tuple[int, int]:
    """Heads and queries of a step of attention: those of the q that it comes from."""
    while by_rows(run, name):
        operation = run.operation(name)
        assert operation is not None
        name = operation.inputs[0]
    heads, queries = run.tensor(name).shape[:2]
    return int(heads), int(queries)


def shape(run: Run, name: str) -> tuple[int, ...]:
    """The shape of a tensor; for a step of attention only one row is computed for it."""
    if run.kept(name) is None and by_rows(run, name):
        operation = run.operation(name)
        if isinstance(operation, HeadOutput) and operation.map is not None:
            return (*sizes(run, name), operation.map.outputs)
        return (*sizes(run, name), *rows(run, name, 0, slice(0, 1)).shape[2:])
    return tuple(run.tensor(name).shape)


def rows(run: Run, name: str, head: int, queries: slice) -> Tensor:
    """Some rows of one head: [1, queries, ...].

    Args:
        queries: a slice with both ends.
    """
    known: dict[str, Tensor] = {}
    return _rows(run, name, head, queries, known)


def _rows(run: Run, name: str, head: int, queries: slice, known: dict[str, Tensor]) -> Tensor:
    """As `rows`; intermediate results are kept in `known`."""
    if name in known:
        return known[name]
    kept, operation = run.kept(name), run.operation(name)
    if kept is not None or operation is None or not by_rows(run, name):
        whole = kept if kept is not None else run.tensor(name)
        return known.setdefault(name, _cut(whole, run.dims(name), run, name, head, queries))
    inputs = {source: _rows(run, source, head, queries, known) for source in operation.inputs}
    made = operation.of_head(inputs, head) if isinstance(operation, HeadOutput) else operation.recompute(inputs)
    return known.setdefault(name, made)


def _cut(whole: Tensor, dims: tuple[str, ...], run: Run, name: str, head: int, queries: slice) -> Tensor:
    """What one head's rows need of a tensor. A dimension of size one is the same for all (ALiBi's biases)."""
    at: list[slice] = []
    for dim, size in zip(dims, whole.shape, strict=True):
        if size > 1 and dim == "head":
            at.append(slice(head, head + 1))
        elif size > 1 and dim == "kv_head":
            at.append(_group(run, name, head, size))
        elif size > 1 and (dim == "query" or (dim == "token" and dims[0] == "head")):
            at.append(queries)
        else:
            at.append(slice(None))
    return whole[tuple(at)]


def _group(run: Run, name: str, head: int, groups: int) -> slice:
    """The key/value head that a query head reads."""
    heads = next(sizes(run, made)[0] for made in run.graph.feeds[name] if by_rows(run, made))
    group = head * groups // heads
    return slice(group, group + 1)


@dataclass
class Part:
    """A part of a tensor, indexed as the whole tensor is.

    Attributes:
        tensor: the part. start: where it begins along each dimension. shape: of the whole.
    """

    tensor: Tensor
    start: tuple[int, ...]
    shape: tuple[int, ...]

    def __getitem__(self, at: Any) -> Tensor:
        at = at if isinstance(at, tuple) else (at,)
        moved = [
            place if isinstance(place, slice) else int(place) - first
            for place, first in zip(at, self.start, strict=False)
        ]
        return self.tensor[tuple(moved)]


@dataclass
class Around:
    """The tensors that the explanation of one cell reads: of steps of attention only the cell's own row.

    Attributes:
        head, query: the row; no head: that row of every head. feature: the one number that is needed of the heads' outputs.
    """

    run: Run
    head: int | None
    query: int | None
    feature: int | None = None
    known: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @classmethod
    def cell(cls, run: Run, index: Mapping[str, int]) -> Around:
        """Around a cell of any tensor."""
        return cls(run, index.get("head"), index.get("query", index.get("token")), index.get("feature"))

    def value(self, name: str) -> Tensor | Part:
        """A tensor, or the row of it."""
        kept = self.run.kept(name)
        if kept is not None or self.query is None or not by_rows(self.run, name):
            return kept if kept is not None else self.run.tensor(name)
        heads, queries = sizes(self.run, name)
        looked = range(heads) if self.head is None else (self.head,)
        row = slice(self.query, self.query + 1)
        parts = [self._row(name, head, row) for head in looked]
        tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
        column = self.feature if self.feature is not None and isinstance(self.run.operation(name), HeadOutput) else 0
        start = (looked[0], self.query, *[column] * (tensor.dim() - 2))
        return Part(tensor, start, (heads, queries, *tensor.shape[2:]))

    def _row(self, name: str, head: int, one: slice) -> Tensor:
        known = self.known.setdefault(head, {}) if self.head is not None else {}  # of many heads: one row at a time
        operation = self.run.operation(name)
        if self.feature is not None and isinstance(operation, HeadOutput):
            z = _rows(self.run, operation.inputs[0], head, one, known)
            return operation.of_cell(z, head, self.feature)
        return _rows(self.run, name, head, one, known)

    def inputs(self, operation: Operation) -> Values:
        """What `Operation.terms` reads."""
        return cast(Values, {source: self.value(source) for source in operation.inputs})


def in_slices(run: Run, name: str) -> Tensor:
    """A whole step of attention, computed some rows at a time: no other step is in memory as a whole."""
    heads, _queries = sizes(run, name)
    first = one_head(run, name, 0)
    whole = first.new_empty(heads, *first.shape)
    whole[0] = first
    for head in range(1, heads):
        whole[head] = one_head(run, name, head)
    return whole


def one_head(run: Run, name: str, head: int, ends: tuple[int, int] | None = None) -> Tensor:
    """One head of a step of attention, [Q, ...], computed some rows at a time; with ``ends`` only the queries between."""
    _heads, queries = sizes(run, name)
    begin, end = ends if ends is not None else (0, queries)
    at_once = max(1, AT_ONCE // _keys(run, name))
    starts = range(begin, end, at_once)
    if len(starts) <= 1:
        return rows(run, name, head, slice(begin, end))[0]
    pieces = (rows(run, name, head, slice(start, min(start + at_once, end)))[0] for start in starts)
    first = next(pieces)
    whole, done = first.new_empty(end - begin, *first.shape[1:]), 0
    for piece in itertools.chain([first], pieces):
        whole[done : done + len(piece)] = piece
        done += len(piece)
    return whole


def large(run: Run, name: str) -> bool:
    """Whether a tensor is a step of attention that is too large to have the steps before it as a whole."""
    if not by_rows(run, name):
        return False
    heads, queries = sizes(run, name)
    return heads * queries * _keys(run, name) > WHOLE


def _keys(run: Run, name: str) -> int:
    """Keys that a query of a step of attention looks at: the tokens of the run, or of the text that an encoder has read."""
    while True:
        operation = run.operation(name)
        assert operation is not None
        if isinstance(operation, Scores):
            return int(run.tensor(operation.inputs[1]).shape[1])
        if not by_rows(run, operation.inputs[0]):
            return sizes(run, name)[1]
        name = operation.inputs[0]
