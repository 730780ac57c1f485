"""The list of a model's operations, in order of computation, built from its anatomy.

With the model's parts the operations carry weights; without (a trace opened from a file) they are the same list, and
those that need weights raise `Unsupported` when they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import BlockParts, ModelParts
from txpanel.models.tokens import Place
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.attention import attention, write
from txpanel.tracing.graph.builder import (
    OPAQUE,
    STREAM,
    GraphBuilder,
    OperationList,
    added,
    block_norm,
    has_norm,
    opaque,
    opaque_facts,
    product,
)
from txpanel.tracing.graph.cross import cross_attention, encoder, source_name
from txpanel.tracing.graph.derived import Derived
from txpanel.tracing.graph.embedding import position_row, summed, table_of
from txpanel.tracing.graph.mlp import mlp
from txpanel.tracing.graph.output import answer, final
from txpanel.tracing.names import GIVEN, SOURCE_STATE
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.operations.placed import OF_TOKENS


class Graph(OperationList):
    """All operations of a model. Those of which there are too many to list (such as the logits after any token) are in :attr:`derived`."""

    def __init__(
        self,
        anatomy: Anatomy,
        parts: ModelParts | None,
        places: tuple[Place, ...] = (),
        rows: Tensor | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """``places``: of an image or a sound. ``rows``: the vectors put there [n, D]. ``given``: what they are made from, by the model's argument names."""
        super().__init__()
        self.dims.update(tokens=("token",), positions=("token",))
        for name, value in (given or {}).items():
            if isinstance(value, Tensor):
                self.dims[GIVEN + name] = tuple(f"axis_{n}" for n in range(value.dim()))
        if anatomy.token_types:
            self.dims["token_types"] = ("token",)
        if anatomy.encoder is not None:
            axes = tuple(f"axis_{n}" for n in range(anatomy.encoder.axes)) or ("token",)
            self.dims.update({source_name(anatomy.encoder): axes, SOURCE_STATE: STREAM})
        self._by_layer: dict[int | None, list[str]] = {None: []}
        put = {
            "places": places,
            "rows": rows,
            "made_from": tuple(GIVEN + name for name in given or {} if name not in OF_TOKENS),
        }
        stream = _embedding(GraphBuilder(self, None, anatomy.norm_eps), anatomy, parts, put if places else {})
        for block in anatomy.blocks:
            writer = GraphBuilder(self, block.index, block.norm_eps)
            stream = (_block(writer, anatomy, block, parts.blocks[block.index] if parts else None, stream),)
        end = GraphBuilder(self, None, anatomy.norm_eps)
        read = final(end, anatomy, parts, stream[0])
        answer(end, anatomy, parts, read, -1)
        if anatomy.encoder is not None:
            encoder(GraphBuilder(self, None, {}), anatomy.encoder)
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

    def find(self, name: str, tokens: int, answer: int) -> Operation | None:
        """The operation that makes ``name`` in a run of so many tokens; None for leaves and for what does not exist.

        Args:
            answer: the token at which the run's logits stand.
        """
        return self.operations.get(name) or self.derived.find(name, tokens, answer)

    def fed(self, name: str, index: Mapping[str, int], tokens: int, answer: int) -> list[str]:
        """Names of the tensors computed from ``name``; with a cell's token only those that use that token's numbers."""
        listed = self.feeds.get(name, [])
        if name == self.derived.read and index.get("token", answer) != answer:
            listed = [made for made in listed if "vocab" not in self.dims[made]]  # logits are those of one token
        return [*listed, *self.derived.feeds(name, index, tokens, answer)]


def _embedding(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, put: dict[str, Any]) -> tuple[str, ...]:
    if "embed" in a.opaque:
        return (w.add(ops.Opaque, "embed", ("tokens",), STREAM, OPAQUE, part="embed"),)
    name, table = table_of(parts, "embed")
    factor = rf" \cdot {a.embed_scale:.6g}" if a.embed_scale != 1.0 else ""
    formula = rf"y_i = W_E[\mathrm{{id}}, i]{factor}, \quad W_E: {a.vocab:,} \times {a.embed_width:,}"
    more: dict[str, Any] = {"table_name": name, "table": table, "factor": a.embed_scale}
    if put:
        look, _comma, size = formula.partition(r", \quad")
        other = r"\mathrm{module}(\mathrm{input})_i & \text{else}"
        formula = rf"y_i = \begin{{cases}} {look.removeprefix('y_i = ')} & \text{{text}} \\ {other} \end{{cases}}, \quad{size}"
    stream = w.add(ops.Placed if put else ops.Lookup, "embed", ("tokens",), STREAM, formula, **more, **put)
    if a.embed_after:
        return (summed(w, a, parts, stream),)
    if a.embed_projection:
        stream = w.linear(
            "embed_proj",
            stream,
            STREAM,
            product(a.embed_width, a.width, "W"),
            parts.maps["embed_projection"] if parts else None,
            a.adapters.get("embed_projection", ()),
        )
    if a.embed_norm and not a.embed_norm_late:
        stream = w.norm(
            "embed_norm", stream, STREAM, a.width, a.embed_norm_kind, parts.norms["embed_norm"] if parts else None
        )
    if a.positions != "learned":
        return (stream,)
    position = position_row(w, a, parts, a.width)
    if not a.embed_norm_late:
        return stream, position
    formula = r"y_i = \mathrm{token}_i + \mathrm{position}_i"
    total = w.add(ops.Add, "embed_sum", (stream, position), STREAM, formula)
    norm = parts.norms["embed_norm"] if parts else None
    return (w.norm("embed_norm", total, STREAM, a.width, a.embed_norm_kind, norm),)


def block_operations(a: Anatomy, b: BlockAnatomy, p: BlockParts | None, stream: str = "stream") -> OperationList:
    """The operations of one block alone, from the tensor ``stream`` [T, D]."""
    found = OperationList()
    found.dims.update({stream: STREAM, SOURCE_STATE: STREAM, "positions": ("token",)})
    _block(GraphBuilder(found, b.index, b.norm_eps), a, b, p, (stream,))
    return found


def _block(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, stream: tuple[str, ...]) -> str:
    """The operations of one block; returns the name of the stream after it."""
    formula = r"y_i = \mathrm{token}_i + \mathrm{position}_i" if len(stream) > 1 else "y_i = x_i"
    pre = w.add(ops.Add, "resid_pre", stream, STREAM, formula)
    if "block" in b.opaque:
        read = w.add(ops.Add, "block_in", (pre,), STREAM, "y_i = x_i")
        post = opaque(w, b, "block", read, "resid_post")
        w.add(ops.Difference, "block_out", (post, read), STREAM, r"y_i = \mathrm{after}_i - \mathrm{before}_i")
        return post
    early = b.norm_place in ("pre", "sandwich")
    if not (b.has_mixer and b.mlp_there):
        return _alone(w, a, b, p, pre, early)
    read = block_norm(w, a, b, p, "ln1", pre) if early and has_norm(b, "ln1") else pre
    attn_out = _mixer_output(w, a, b, p, read)
    label = "mixer" if "mixer" in b.opaque else "attn"
    if b.parallel:
        read = read if b.shared_norm else block_norm(w, a, b, p, "ln2", pre)
        mlp_out = _mlp_output(w, a, b, p, read)
        formula = rf"y_i = x_i + \mathrm{{{label}}}_i + \mathrm{{mlp}}_i"
        return w.add(ops.Add, "resid_post", (pre, attn_out, mlp_out), STREAM, formula)
    base = read if b.norm_residual else pre
    mid = w.add(ops.Add, "resid_mid", (base, attn_out), STREAM, rf"y_i = x_i + \mathrm{{{label}}}_i")
    if b.cross_there:
        mid = _cross_attention(w, a, b, p, mid)
    if b.norm_place == "post":
        mid = block_norm(w, a, b, p, "cross_ln" if b.cross_there else "ln1", mid)
        mlp_out = _mlp_output(w, a, b, p, mid)
        total = w.add(ops.Add, "resid_sum", (mid, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")
        last = block_norm(w, a, b, p, "ln2", total)
        return w.add(ops.Add, "resid_post", (last,), STREAM, "y_i = x_i")
    read = block_norm(w, a, b, p, "ln2", mid) if early else mid
    mlp_out = _mlp_output(w, a, b, p, read)
    base = read if b.norm_residual else mid
    return w.add(ops.Add, "resid_post", (base, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")


def _cross_attention(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, mid: str) -> str:
    """Cross-attention, from the stream after attention to the one after both."""
    if b.norm_place == "post":
        mid = block_norm(w, a, b, p, "ln1", mid)
    read = block_norm(w, a, b, p, "cross_ln", mid) if b.norm_place == "pre" else mid
    if "cross" in b.opaque:
        read = w.add(ops.Add, "cross_in", (read,), STREAM, "y_i = x_i")
        out = opaque(w, b, "cross", read, "cross_out")
    else:
        out = cross_attention(w, a, b, p, read)
    return w.add(ops.Add, "resid_mid_cross", (mid, out), STREAM, r"y_i = x_i + \mathrm{cross}_i")


def _alone(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, pre: str, early: bool) -> str:
    """A block that is a mixer alone, or an MLP alone."""
    norm, step = ("ln1", _mixer_output) if b.has_mixer else ("ln2", _mlp_output)
    read = block_norm(w, a, b, p, norm, pre) if early else pre
    written = step(w, a, b, p, read)
    base = read if b.norm_residual else pre
    label = "mlp" if not b.has_mixer else "mixer" if "mixer" in b.opaque else "attn"
    formula = rf"y_i = x_i + \mathrm{{{label}}}_i"
    if b.norm_place != "post":
        return w.add(ops.Add, "resid_post", (base, written), STREAM, formula)
    last = block_norm(w, a, b, p, norm, w.add(ops.Add, "resid_sum", (base, written), STREAM, formula))
    return w.add(ops.Add, "resid_post", (last,), STREAM, "y_i = x_i")


def _mixer_output(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    """What attention, or what stands in its place, adds to the stream."""
    if "mixer" not in b.opaque:
        return write(w, a, b, p, attention(w, a, b, p, read))
    read = w.add(ops.Add, "mixer_in", (read,), STREAM, "y_i = x_i")
    return added(w, a, b, p, "mixer", ops.Opaque, (read,), OPAQUE, **opaque_facts(b, "mixer"))


def _mlp_output(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    """What the MLP adds to the stream."""
    if "mlp" not in b.opaque:
        return mlp(w, a, b, p, read)
    read = w.add(ops.Add, "mlp_in", (read,), STREAM, "y_i = x_i")
    return added(w, a, b, p, "mlp", ops.Opaque, (read,), OPAQUE, **opaque_facts(b, "mlp"))


_graphs: WeakKeyDictionary[LanguageModel, tuple[Anatomy, Graph]] = WeakKeyDictionary()


def graph_of(model: LanguageModel) -> Graph:
    """The model's operations, listed once and kept as long as the model."""
    found = _graphs.get(model)
    if found is None or found[0] is not model.anatomy:  # the parts are read again when the model has changed
        given = model.inputs
        made = Graph(model.anatomy, model.parts, *(() if given is None else (given.places, given.rows, given.named)))
        found = _graphs[model] = (model.anatomy, made)
    return found[1]
