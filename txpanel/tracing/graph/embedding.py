"""The operations from token ids to the first stream: rows of tables, added, normed, brought to the stream's width."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from txpanel.models.anatomy import Anatomy
from txpanel.models.parts import ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import STREAM, GraphBuilder, product


def table_of(parts: ModelParts | None, name: str) -> tuple[str, Tensor | None]:
    """A table's parameter by its name, and its numbers; without the model neither."""
    return parts.tables[name] if parts else ("", None)


def position_row(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, width: int) -> str:
    """The row of the table of learned positions."""
    name, table = table_of(parts, "pos_embed")
    more: dict[str, Any] = {"table_name": name, "table": table, "offset": a.position_offset, "symbol": "W_P"}
    unused = a.position_offset + (0 if a.position_pad is None else a.position_pad + 1)
    rows = a.max_tokens + unused if table is None else len(table)
    formula = rf"y_i = W_P[\mathrm{{position}}, i], \quad W_P: {rows:,} \times {width:,}"
    return w.add(ops.Lookup, "pos_embed", ("positions",), STREAM, formula, **more)


def summed(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, token: str) -> str:
    """BERT's way: token, token type and position are added, then come the norm and (ELECTRA) a projection to the stream's width."""
    added = [token]
    if a.mask_dropped is not None:
        formula = r"y_i = x_i\, \frac{0.88}{1 - \mathrm{masks} / T}, \quad y_i = 0 \ \mathrm{at\ a\ mask}"
        added = [w.add(ops.MaskDropped, "embed_scaled", (token, "tokens"), STREAM, formula, mask=a.mask_dropped)]
    if a.token_types:
        name, table = table_of(parts, "token_type_embed")
        more: dict[str, Any] = {"table_name": name, "table": table, "symbol": "W_T"}
        added.append(
            w.add(ops.Lookup, "token_type_embed", ("token_types",), STREAM, r"y_i = W_T[\mathrm{type}, i]", **more)
        )
    if a.positions == "learned":
        added.append(position_row(w, a, parts, a.embed_width))
    stream = added[0]
    if len(added) > 1:
        said = {token: "token", "embed_scaled": "token", "token_type_embed": "type", "pos_embed": "position"}
        formula = "y_i = " + " + ".join(rf"\mathrm{{{said[name]}}}_i" for name in added)
        stream = w.add(ops.Add, "embed_sum", tuple(added), STREAM, formula)
    if a.embed_norm:
        norm = parts.norms["embed_norm"] if parts else None
        stream = w.norm("embed_norm", stream, STREAM, a.embed_width, a.embed_norm_kind, norm)
    if a.embed_projection:
        formula = product(a.embed_width, a.width, "W")
        own = a.adapters.get("embed_projection", ())
        stream = w.linear("embed_proj", stream, STREAM, formula, parts.maps["embed_projection"] if parts else None, own)
    return stream
