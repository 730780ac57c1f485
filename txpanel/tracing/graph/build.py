"""The list of a model's operations, in order of computation, built from its anatomy.

With the model's parts the operations carry weights; without (a trace opened from a file) they are the same list, and
those that need weights raise `Unsupported` when they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts, ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.attention import attention, write
from txpanel.tracing.graph.builder import STREAM, GraphBuilder, OperationList, product
from txpanel.tracing.graph.derived import Derived
from txpanel.tracing.graph.mlp import mlp
from txpanel.tracing.graph.output import answer, final
from txpanel.tracing.operations.base import Operation


class Graph(OperationList):
    """All operations of a model. Those of which there are too many to list (such as the logits after any token) are in :attr:`derived`."""

    def __init__(self, anatomy: Anatomy, parts: ModelParts | None) -> None:
        super().__init__()
        self.dims.update(tokens=("token",), positions=("token",))
        self._by_layer: dict[int | None, list[str]] = {None: []}
        stream = _embedding(GraphBuilder(self, None, anatomy.norm_eps), anatomy, parts)
        for block in anatomy.blocks:
            writer = GraphBuilder(self, block.index, block.norm_eps)
            stream = (_block(writer, anatomy, block, parts.blocks[block.index] if parts else None, stream),)
        end = GraphBuilder(self, None, anatomy.norm_eps)
        read = final(end, anatomy, parts, stream[0])
        answer(end, anatomy, parts, read, -1)
        self.derived = Derived(anatomy, parts, self.dims, read)

    def names(self, layer: int | None = None) -> list[str]:
        """Outputs in order of computation; of one block, or of the whole model."""
        if layer is not None:
            return list(self._by_layer.get(layer, []))
        return list(self.operations)

    def keep(self, operation: Operation, layer: int | None) -> None:
        """Add the next operation."""
        super().keep(operation, layer)
        self._by_layer.setdefault(layer, []).append(operation.output)

    def find(self, name: str, tokens: int) -> Operation | None:
        """The operation that makes ``name`` in a run of so many tokens; None for leaves and for what does not exist."""
        return self.operations.get(name) or self.derived.find(name, tokens)

    def fed(self, name: str, index: Mapping[str, int], tokens: int) -> list[str]:
        """What is computed from ``name``; with a cell's token what that token's numbers go into."""
        listed = self.feeds.get(name, [])
        if name == self.derived.read and index.get("token", tokens - 1) != tokens - 1:
            listed = [made for made in listed if "vocab" not in self.dims[made]]  # logits are those of the last token
        return [*listed, *self.derived.feeds(name, index, tokens)]


def _embedding(w: GraphBuilder, a: Anatomy, parts: ModelParts | None) -> tuple[str, ...]:
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


def _block(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, stream: tuple[str, ...]) -> str:
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
