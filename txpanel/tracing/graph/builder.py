"""Collecting operations into a graph, under their full names and with formulas that show this model's sizes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, cast

from txpanel.models.anatomy import Adapter, Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts, LinearMap
from txpanel.tracing import operations as ops
from txpanel.tracing.operations.base import Operation

STREAM = ("token", "feature")
HEADS = ("head", "token", "dim")
KV_HEADS = ("kv_head", "token", "dim")
MAP = ("head", "query", "key")
ROW = ("head", "query")
NEURONS = ("token", "neuron")
OPAQUE = r"y = \mathrm{module}(x)"
"""Formula of a part that is not opened."""


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

    def linear(
        self,
        name: str,
        source: str,
        dims: tuple[str, ...],
        formula: str,
        map: LinearMap | None,
        adapters: tuple[Adapter, ...] = (),
        kind: type[Operation] = ops.Linear,
        **more: Any,
    ) -> str:
        """Add a product with a matrix of the model. An adapter's ``A x`` is a tensor of its own; so are DoRA's factors."""
        latents, gains = [], []
        updates = [adapter for adapter in adapters if adapter.rank]
        for k, adapter in enumerate(updates):
            latents.append(self._latent(adapter, source, map.updates[k].down if map else None, kind, more.get("row")))
            gains.append(self._gain(adapter, map, k) if adapter.gain else "")
        inputs = (source, *latents, *(gain for gain in gains if gain))
        formula = with_adapters(formula, adapters)
        return self.add(kind, name, inputs, dims, formula, map=map, latents=tuple(latents), gains=tuple(gains), **more)

    def _latent(
        self, adapter: Adapter, source: str, down: LinearMap | None, kind: type[Operation], row: int | None
    ) -> str:
        """``A x``: [T, rank]; of the output projection for each head by itself, [H, T, rank]; of one token [rank]."""
        if self.prefix + adapter.latent in self.operations.operations:  # q, k and v in one weight share theirs
            return self.prefix + adapter.latent
        formula = rf"y_r = \sum_{{i=1}}^{{{adapter.size}}} x_i\, A_{{r,i}}, \quad r \le {adapter.rank}"
        if kind is ops.HeadOutput:
            dims: tuple[str, ...] = ("head", "token", "rank")
            return self.add(kind, adapter.latent, (source,), dims, formula, map=down, symbol="A")
        dims = ("token", "rank") if row is None else ("rank",)
        return self.add(ops.Linear, adapter.latent, (source,), dims, formula, map=down, symbol="A", row=row)

    def _gain(self, adapter: Adapter, map: LinearMap | None, k: int) -> str:
        formula = rf"g_o = \frac{{m_o}}{{\left\| W_o + {adapter.scale:.4g}\,(B A)_o \right\|}}"
        return self.add(ops.DoraGain, adapter.gain, (), ("row",), formula, map=map, update=k)

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
        """Add mean (LayerNorm), variance, scale and the normalised vector; returns the name of the last."""
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


def with_adapters(formula: str, adapters: tuple[Adapter, ...]) -> str:
    """The LaTeX of a matrix product with what adapters make of it."""
    if not adapters:
        return formula
    product, comma, sizes = formula.partition(r", \quad")
    left, equals, right = product.partition(" = ")
    bias = " + b_o" if right.endswith(" + b_o") else ""
    right = right.removesuffix(bias)
    for adapter in adapters:
        if bias and adapter.method == "IA3":  # the only one that multiplies the bias too
            right, bias = right + bias, ""
        if adapter.rank:
            right += rf" + {adapter.scale:.4g} \sum_{{r=1}}^{{{adapter.rank}}} (A x)_r\, B_{{o,r}}"
        if adapter.gain:
            right = rf"g_o \left( {right} \right)"
        elif adapter.method == "IA3":
            right = rf"\ell_o \left( {right} \right)"
        elif adapter.method == "IA3 inputs":
            right = rf"\left[ {right} \right]_{{x_i \to \ell_i x_i}}"
    return left + equals + right + bias + comma + sizes


def added(
    w: GraphBuilder,
    a: Anatomy,
    b: BlockAnatomy,
    p: BlockParts | None,
    sublayer: str,
    kind: type[Operation],
    inputs: tuple[str, ...],
    formula: str,
    **more: Any,
) -> str:
    """The last step of a sublayer, then the norm or factor (if any) before its output is added to the residual stream."""
    normed = b.norm_place in ("sandwich", "branch")
    direct = not normed and b.residual_multiplier == 1.0
    name = f"{sublayer}_out" if direct else f"{sublayer}_proj"
    if kind is ops.Linear:
        name = w.linear(name, inputs[0], STREAM, formula, **more)
    else:
        name = w.add(kind, name, inputs, STREAM, formula, **more)
    if normed:
        norm = "attn_norm" if sublayer == "mixer" else f"{sublayer}_norm"
        name = block_norm(
            w, a, b, p, norm, name, f"{sublayer}_out" if b.residual_multiplier == 1.0 else f"{sublayer}_normed"
        )
    if b.residual_multiplier != 1.0:
        return w.add(
            ops.Times,
            f"{sublayer}_out",
            (name,),
            STREAM,
            rf"y_i = {b.residual_multiplier:g}\, x_i",
            factor=b.residual_multiplier,
        )
    return name


def block_norm(
    w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, norm: str, source: str, name: str = ""
) -> str:
    """One of a block's norms over the stream, opened or not."""
    if norm in b.opaque:
        return opaque(w, b, norm, source, name or norm)
    return w.norm(name or norm, source, STREAM, a.width, b.norm_kind, p.norms.get(norm) if p else None, stats=norm)


def has_norm(b: BlockAnatomy, norm: str) -> bool:
    """Whether a block has one of its norms, opened or not: the first block of ModernBERT reads its stream as it is."""
    return norm in b.norm_eps or norm in b.opaque


def opaque(w: GraphBuilder, b: BlockAnatomy, part: str, source: str, name: str) -> str:
    """A part of a block that is not opened: its module is called."""
    return w.add(ops.Opaque, name, (source,), STREAM, OPAQUE, **opaque_facts(b, part))


def opaque_facts(b: BlockAnatomy, part: str) -> dict[str, Any]:
    """The attributes of an `Opaque` operation for a part of a block."""
    return {"module": b.modules.get(part, ""), "part": part, "layer": b.index}
