"""The list of a model's operations, in order of computation, built from its anatomy.

With the model's parts the operations carry weights; without (a trace opened from a file) they are the same list, and
those that need weights say so when asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts, ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.attention_graph import attention, write
from txpanel.tracing.mlp_graph import mlp
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.writer import STREAM, Writer, product


class Graph:
    """All operations of a model.

    Attributes:
        operations: by the name of their output, in order. dims: names of the dimensions of every tensor, leaves included.
        feeds: for every name, the outputs computed from it.
    """

    def __init__(self, anatomy: Anatomy, parts: ModelParts | None) -> None:
        self.operations: dict[str, Operation] = {}
        self.dims: dict[str, tuple[str, ...]] = {"tokens": ("token",), "positions": ("token",)}
        self.feeds: dict[str, list[str]] = {}
        self._by_layer: dict[int | None, list[str]] = {None: []}
        stream = _embedding(Writer(self, None, anatomy.norm_eps), anatomy, parts)
        for block in anatomy.blocks:
            writer = Writer(self, block.index, block.norm_eps)
            stream = (_block(writer, anatomy, block, parts.blocks[block.index] if parts else None, stream),)
        _head(Writer(self, None, anatomy.norm_eps), anatomy, parts, stream[0])

    def names(self, layer: int | None = None) -> list[str]:
        """Outputs in order of computation; of one block, or of the whole model."""
        if layer is not None:
            return list(self._by_layer.get(layer, []))
        return list(self.operations)

    def keep(self, operation: Operation, layer: int | None) -> None:
        """Add the next operation."""
        self.operations[operation.output] = operation
        self.dims[operation.output] = operation.dims
        self._by_layer.setdefault(layer, []).append(operation.output)
        for name in operation.inputs:
            self.feeds.setdefault(name, []).append(operation.output)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations.values())


def _embedding(w: Writer, a: Anatomy, parts: ModelParts | None) -> tuple[str, ...]:
    tables: dict[str, tuple[str, Tensor | None]] = (
        dict(parts.tables) if parts else {"embed": ("", None), "pos_embed": ("", None)}
    )
    name, table = tables["embed"]
    factor = rf" \cdot {a.embed_scale:.6g}" if a.embed_scale != 1.0 else ""
    formula = rf"y_i = W_E[\mathrm{{id}}, i]{factor}, \quad W_E: {a.vocab:,} \times {a.embed_width:,}"
    more: dict[str, Any] = {"table_name": name, "table": table, "factor": a.embed_scale}
    stream = w.add(ops.Lookup, "embed", ("tokens",), STREAM, formula, **more)
    if a.embed_projection:
        stream = w.add(
            ops.Linear,
            "embed_proj",
            (stream,),
            STREAM,
            product(a.embed_width, a.width, "W"),
            map=parts.maps["embed_projection"] if parts else None,
        )
    if a.embed_norm:
        stream = w.norm(
            "embed_norm", stream, STREAM, a.width, a.embed_norm_kind, parts.norms["embed_norm"] if parts else None
        )
    if a.positions != "learned":
        return (stream,)
    name, table = tables["pos_embed"]
    more = {"table_name": name, "table": table, "offset": a.position_offset, "symbol": "W_P"}
    w.add(
        ops.Lookup,
        "pos_embed",
        ("positions",),
        STREAM,
        rf"y_i = W_P[\mathrm{{position}}, i], \quad W_P: {a.max_tokens:,} \times {a.width:,}",
        **more,
    )
    return stream, "pos_embed"


def _block(w: Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, stream: tuple[str, ...]) -> str:
    norms = p.norms if p else {}
    formula = r"y_i = \mathrm{token}_i + \mathrm{position}_i" if len(stream) > 1 else "y_i = x_i"
    pre = w.add(ops.Add, "resid_pre", stream, STREAM, formula)
    early = b.norm_place in ("pre", "sandwich")
    read = w.norm("ln1", pre, STREAM, a.width, b.norm_kind, norms.get("ln1")) if early else pre
    z = attention(w, a, b, p, read)
    attn_out = write(w, a, b, p, z)
    if b.parallel:
        read = read if b.shared_norm else w.norm("ln2", pre, STREAM, a.width, b.norm_kind, norms.get("ln2"))
        mlp_out = mlp(w, a, b, p, read)
        return w.add(
            ops.Add, "resid_post", (pre, attn_out, mlp_out), STREAM, r"y_i = x_i + \mathrm{attn}_i + \mathrm{mlp}_i"
        )
    base = read if b.norm_residual else pre
    mid = w.add(ops.Add, "resid_mid", (base, attn_out), STREAM, r"y_i = x_i + \mathrm{attn}_i")
    if b.norm_place == "post":
        mid = w.norm("ln1", mid, STREAM, a.width, b.norm_kind, norms.get("ln1"))
        mlp_out = mlp(w, a, b, p, mid)
        total = w.add(ops.Add, "resid_sum", (mid, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")
        last = w.norm("ln2", total, STREAM, a.width, b.norm_kind, norms.get("ln2"))
        return w.add(ops.Add, "resid_post", (last,), STREAM, "y_i = x_i")
    read = w.norm("ln2", mid, STREAM, a.width, b.norm_kind, norms.get("ln2")) if early else mid
    mlp_out = mlp(w, a, b, p, read)
    base = read if b.norm_residual else mid
    return w.add(ops.Add, "resid_post", (base, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")


def _head(w: Writer, a: Anatomy, parts: ModelParts | None, stream: str) -> None:
    norms, maps = (parts.norms, parts.maps) if parts else ({}, {})
    if a.final_norm:
        stream = w.norm("ln_final", stream, STREAM, a.width, a.final_norm, norms.get("ln_final"))
    if a.output_projection:
        stream = w.add(
            ops.Linear,
            "output_proj",
            (stream,),
            STREAM,
            product(a.width, a.embed_width, "W"),
            map=maps.get("output_projection"),
        )
    steps = (
        ["logits_raw"]
        + (["logits_scaled"] if a.logit_scale != 1.0 else [])
        + (["logits_capped"] if a.logit_softcap else [])
    )
    steps[-1] = "logits"
    formula = product(a.embed_width, a.vocab, "W_U", bias=a.logit_bias)
    name = w.add(
        ops.Linear, steps.pop(0), (stream,), ("vocab",), formula, map=maps.get("unembed"), last_only=True, symbol="W_U"
    )
    if a.logit_scale != 1.0:
        name = w.add(ops.Times, steps.pop(0), (name,), ("vocab",), rf"y = {a.logit_scale:g}\, x", factor=a.logit_scale)
    if a.logit_softcap:
        name = w.add(
            ops.SoftCap,
            steps.pop(0),
            (name,),
            ("vocab",),
            rf"y = {a.logit_softcap:g} \tanh(x / {a.logit_softcap:g})",
            cap=a.logit_softcap,
        )
    top = w.add(ops.RowMax, "probs.max", (name,), (), r"m = \max_i \mathrm{logit}_i")
    total = w.add(
        ops.RowSum, "probs.sum", (name, top), (), rf"Z = \sum_{{i=1}}^{{{a.vocab:,}}} e^{{\mathrm{{logit}}_i - m}}"
    )
    w.add(ops.Softmax, "probs", (name, top, total), ("vocab",), r"p_i = \frac{e^{\mathrm{logit}_i - m}}{Z}")
