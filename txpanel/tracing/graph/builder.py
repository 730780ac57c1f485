"""Collecting operations into a graph, under their full names and with formulas that show this model's sizes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, cast

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts
from txpanel.tracing import operations as ops
from txpanel.tracing.operations.base import Operation

STREAM = ("token", "feature")
HEADS = ("head", "token", "dim")
KV_HEADS = ("kv_head", "token", "dim")
MAP = ("head", "query", "key")
ROW = ("head", "query")
NEURONS = ("token", "neuron")


class OperationList:
    """A list of operations in order of computation.

    Attributes:
        operations: by the name of their output, in order. dims: names of the dimensions of every tensor, leaves included.
        feeds: for every name, the outputs computed from it.
    """

    def __init__(self, known: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.operations: dict[str, Operation] = {}
        self.dims: MutableMapping[str, tuple[str, ...]] = {} if known is None else ChainMap({}, cast(Any, known))
        self.feeds: dict[str, list[str]] = {}

    def keep(self, operation: Operation, layer: int | None) -> None:
        """Add the next operation."""
        self.operations[operation.output] = operation
        self.dims[operation.output] = operation.dims
        for name in operation.inputs:
            self.feeds.setdefault(name, []).append(operation.output)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations.values())


class GraphBuilder:
    """Adds operations of one block, or of what stands before and after the blocks, under their full names.

    Args:
        operations: where to add them. layer: of the block; ``None`` outside the blocks.
        eps: epsilon of each norm, by its name. prefix: of all names, instead of ``blocks.{layer}.``.
    """

    def __init__(
        self, operations: OperationList, layer: int | None, eps: dict[str, float], prefix: str | None = None
    ) -> None:
        self.operations, self.layer, self.eps = operations, layer, eps
        self.prefix = prefix if prefix is not None else "" if layer is None else f"blocks.{layer}."

    def leaf(self, name: str, dims: tuple[str, ...]) -> str:
        """Name a tensor that is given, not computed."""
        self.operations.dims[self.prefix + name] = dims
        return self.prefix + name

    def add(
        self,
        kind: type[Operation],
        name: str,
        inputs: tuple[str, ...],
        dims: tuple[str, ...],
        formula: str,
        **more: Any,
    ) -> str:
        """Add an operation; returns its output's full name."""
        cells = {source: self.operations.dims[source] for source in inputs}
        operation = kind(output=self.prefix + name, inputs=inputs, dims=dims, formula=formula, cells=cells, **more)
        self.operations.keep(operation, self.layer)
        return operation.output

    def norm(
        self,
        name: str,
        source: str,
        dims: tuple[str, ...],
        size: int,
        kind: str,
        parts: Any,
        over: tuple[int, ...] = (-1,),
        stats: str = "",
    ) -> str:
        """Mean, variance, scale and the normalised vector."""
        stats = stats or name
        at = tuple(dim for axis, dim in enumerate(dims) if axis - len(dims) not in over and axis not in over)
        means: tuple[str, ...] = ()
        if kind == "LayerNorm":
            means = (
                self.add(
                    ops.Mean,
                    f"{stats}.mean",
                    (source,),
                    at,
                    rf"\mu = \frac{{1}}{{{size}}}\sum_{{i=1}}^{{{size}}} x_i",
                    over=over,
                ),
            )
        centred = r"(x_i - \mu)^2" if means else "x_i^2"
        var = self.add(
            ops.Variance,
            f"{stats}.var",
            (source, *means),
            at,
            rf"\sigma^2 = \frac{{1}}{{{size}}}\sum_{{i=1}}^{{{size}}} {centred}",
            over=over,
        )
        eps = self.eps[stats]
        scale = self.add(
            ops.Scale, f"{stats}.scale", (var,), at, rf"s = \frac{{1}}{{\sqrt{{\sigma^2 + {power(eps)}}}}}", eps=eps
        )
        shift = r"(x_i - \mu)" if means else "x_i"
        bias = " + b_i" if parts is not None and parts.bias is not None else ""
        weight = r"\, w_i" if parts is None or parts.weight is not None else ""
        more = {"parts": parts, "over": over, "has_weights": parts is None or parts.weight is not None}
        return self.add(ops.Normalise, name, (source, scale, *means), dims, rf"y_i = {shift}\, s{weight}{bias}", **more)


def power(x: float) -> str:
    """``1e-05`` as LaTeX: ``10^{-5}``."""
    mantissa, exponent = f"{x:.3g}".split("e") if "e" in f"{x:.3g}" else (f"{x:.3g}", "")
    if not exponent:
        return mantissa
    return (rf"{mantissa} \cdot " if mantissa != "1" else "") + f"10^{{{int(exponent)}}}"


def product(n: int, m: int, matrix: str, x: str = "x", y: str = "y", bias: bool = False) -> str:
    """LaTeX of a matrix product with its sizes."""
    return rf"{y}_o = \sum_{{i=1}}^{{{n}}} {x}_i\, {{{matrix}}}_{{i,o}}{' + b_o' if bias else ''}, \quad o \le {m}"


def added(
    w: GraphBuilder,
    a: Anatomy,
    b: BlockAnatomy,
    p: BlockParts | None,
    part: str,
    kind: type[Operation],
    inputs: tuple[str, ...],
    formula: str,
    **more: Any,
) -> str:
    """The last step of a sublayer, then the norm or factor (if any) before its output is added to the residual stream."""
    normed = b.norm_place in ("sandwich", "branch")
    direct = not normed and b.residual_multiplier == 1.0
    name = w.add(kind, f"{part}_out" if direct else f"{part}_proj", inputs, STREAM, formula, **more)
    if normed:
        return w.norm(
            f"{part}_out",
            name,
            STREAM,
            a.width,
            b.norm_kind,
            p.norms.get(f"{part}_norm") if p else None,
            stats=f"{part}_norm",
        )
    if b.residual_multiplier != 1.0:
        return w.add(
            ops.Times,
            f"{part}_out",
            (name,),
            STREAM,
            rf"y_i = {b.residual_multiplier:g}\, x_i",
            factor=b.residual_multiplier,
        )
    return name
