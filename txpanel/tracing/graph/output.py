"""Operations after the last block: final norm and output projection for all tokens, then one token's logits and probabilities."""

from __future__ import annotations

from txpanel.models.anatomy import Anatomy
from txpanel.models.parts import ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import STREAM, GraphBuilder, product

VOCAB = ("vocab",)


def final(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, stream: str) -> str:
    """Final norm and output projection, as far as the model has them; returns the name of what the unembedding reads, [T, D]."""
    norms, maps = (parts.norms, parts.maps) if parts else ({}, {})
    if a.final_norm:
        stream = w.norm("ln_final", stream, STREAM, a.width, a.final_norm, norms.get("ln_final"))
    if a.output_projection:
        formula = product(a.width, a.embed_width, "W")
        stream = w.add(ops.Linear, "output_proj", (stream,), STREAM, formula, map=maps.get("output_projection"))
    return stream


def answer(w: GraphBuilder, a: Anatomy, parts: ModelParts | None, stream: str, row: int) -> str:
    """Logits after one token (-1: the last) and their softmax; returns the name of the probabilities."""
    maps = parts.maps if parts else {}
    steps = (
        ["logits_raw"]
        + (["logits_scaled"] if a.logit_scale != 1.0 else [])
        + (["logits_capped"] if a.logit_softcap else [])
    )
    steps[-1] = "logits"
    formula = product(a.embed_width, a.vocab, "W_U", bias=a.logit_bias)
    name = w.add(ops.Linear, steps.pop(0), (stream,), VOCAB, formula, map=maps.get("unembed"), row=row, symbol="W_U")
    if a.logit_scale != 1.0:
        name = w.add(ops.Times, steps.pop(0), (name,), VOCAB, rf"y = {a.logit_scale:g}\, x", factor=a.logit_scale)
    if a.logit_softcap:
        formula = rf"y = {a.logit_softcap:g} \tanh(x / {a.logit_softcap:g})"
        name = w.add(ops.SoftCap, steps.pop(0), (name,), VOCAB, formula, cap=a.logit_softcap)
    top = w.add(ops.RowMax, "probs.max", (name,), (), r"m = \max_i \mathrm{logit}_i")
    total = w.add(
        ops.RowSum, "probs.sum", (name, top), (), rf"Z = \sum_{{i=1}}^{{{a.vocab:,}}} e^{{\mathrm{{logit}}_i - m}}"
    )
    return w.add(ops.Softmax, "probs", (name, top, total), VOCAB, r"p_i = \frac{e^{\mathrm{logit}_i - m}}{Z}")
