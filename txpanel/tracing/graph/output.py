"""Operations after the last block: final norm and output projection for all tokens, then one token's logits and probabilities."""

from __future__ import annotations

from transformers.activations import ACT2FN

from txpanel.models.anatomy import Anatomy
from txpanel.models.parts import ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import OPAQUE, STREAM, GraphBuilder, product

VOCAB = ("vocab",)


def final(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, stream: str) -> str:
    """Final norm and output projection, as far as the model has them; returns the name of what the unembedding reads, [T, D]."""
    if "output" in a.opaque:
        return stream
    norms, maps = (parts.norms, parts.maps) if parts else ({}, {})
    if a.final_norm:
        stream = w.norm("ln_final", stream, STREAM, a.width, a.final_norm, norms.get("ln_final"))
    if a.output_projection:
        formula = product(a.width, a.embed_width, "W")
        own = a.adapters.get("output_projection", ())
        stream = w.linear("output_proj", stream, STREAM, formula, maps.get("output_projection"), own)
    return _masked_head(w, a, parts, stream) if a.head else stream


def _masked_head(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, stream: str) -> str:
    """What a masked language model has before its unembedding: a matrix, an activation, a norm."""
    maps, own = parts.maps if parts else {}, a.adapters.get("mlm_dense", ())
    formula = product(a.width, a.head_width, "W")
    stream = w.linear("mlm_pre", stream, STREAM, formula, maps.get("mlm_dense"), own)
    function = parts.head_activation if parts else ACT2FN[a.head] if a.head in set(ACT2FN) else None
    more = {"function": function, "function_name": a.head}
    stream = w.add(
        ops.Activation, "mlm_post", (stream,), STREAM, rf"y_i = \mathrm{{{a.head}}}(x_i)".replace("_", r"\_"), **more
    )
    if a.head_norm:
        stream = w.norm(
            "mlm_norm", stream, STREAM, a.head_width, a.head_norm, parts.norms.get("mlm_norm") if parts else None
        )
    return stream


def answer(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, stream: str, row: int) -> str:
    """Logits after one token (-1: the last) and their softmax; returns the name of the probabilities."""
    maps = parts.maps if parts else {}
    if "output" in a.opaque:
        name = w.add(ops.Opaque, "logits", (stream,), VOCAB, OPAQUE, part="output", row=row)
        return _softmax(w, a, name)
    steps = (
        ["logits_raw"]
        + (["logits_scaled"] if a.logit_scale != 1.0 else [])
        + (["logits_capped"] if a.logit_softcap else [])
    )
    steps[-1] = "logits"
    formula = product(a.head_width or a.embed_width, a.vocab, "W_U", bias=a.logit_bias)
    own = a.adapters.get("unembed", ())
    name = w.linear(steps.pop(0), stream, VOCAB, formula, maps.get("unembed"), own, row=row, symbol="W_U")
    if a.logit_scale != 1.0:
        name = w.add(ops.Times, steps.pop(0), (name,), VOCAB, rf"y = {a.logit_scale:g}\, x", factor=a.logit_scale)
    if a.logit_softcap:
        formula = rf"y = {a.logit_softcap:g} \tanh(x / {a.logit_softcap:g})"
        name = w.add(ops.SoftCap, steps.pop(0), (name,), VOCAB, formula, cap=a.logit_softcap)
    return _softmax(w, a, name)


def _softmax(w: GraphBuilder, a: Anatomy, name: str) -> str:
    top = w.add(ops.RowMax, "probs.max", (name,), (), r"m = \max_i \mathrm{logit}_i")
    total = w.add(
        ops.RowSum, "probs.sum", (name, top), (), rf"Z = \sum_{{i=1}}^{{{a.vocab:,}}} e^{{\mathrm{{logit}}_i - m}}"
    )
    return w.add(ops.Softmax, "probs", (name, top, total), VOCAB, r"p_i = \frac{e^{\mathrm{logit}_i - m}}{Z}")
