"""The operations of cross-attention: queries from the decoder's residual stream, keys and values from the encoder's last state."""

from __future__ import annotations

from typing import Any

from txpanel.models.anatomy import Anatomy, BlockAnatomy, Encoder
from txpanel.models.parts import BlockParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import HEADS, KV_HEADS, MAP, OPAQUE, ROW, STREAM, GraphBuilder, product
from txpanel.tracing.names import GIVEN, SOURCE_STATE, SOURCE_TOKENS


def cross_attention(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    """From the stream that cross-attention reads to what it adds. Keys stand for tokens of the source; each of them is seen."""
    c = b.cross
    assert c is not None

    def made(letter: str, source: str, heads: int, size: int, dims: tuple[str, ...], **more: Any) -> str:
        formula = product(a.width, heads * size, f"W_{letter.upper()}", y=letter, bias=c.bias)
        own = b.adapters.get(f"cross_{letter}", ())
        more |= {"heads": heads, "symbol": f"W_{letter.upper()}"}
        return w.linear(f"cross_{letter}", source, dims, formula, p.maps[f"cross_{letter}"] if p else None, own, **more)

    q = made("q", read, c.n_heads, c.head_dim, HEADS, factor=c.q_factor)
    k = made("k", SOURCE_STATE, c.n_kv_heads, c.head_dim, KV_HEADS)
    v = made("v", SOURCE_STATE, c.n_kv_heads, c.value_dim, KV_HEADS)
    scale = (
        rf"\frac{{1}}{{\sqrt{{{c.head_dim}}}}} " if abs(c.scaling - c.head_dim**-0.5) < 1e-9 else f"{c.scaling:.6g} "
    )
    scale = "" if c.scaling == 1.0 else scale
    formula = rf"s_{{q,k}} = {scale}\sum_{{d=1}}^{{{c.head_dim}}} q_d\, k_d"
    stage = w.add(ops.Scores, "cross_scores", (q, k), MAP, formula, scaling=c.scaling)
    if c.softcap:
        formula = rf"y = {c.softcap:g} \tanh(s / {c.softcap:g})"
        stage = w.add(ops.SoftCap, "cross_scores_capped", (stage,), MAP, formula, cap=c.softcap)
    top = w.add(ops.RowMax, "cross_pattern.max", (stage,), ROW, r"m = \max_k s_{q,k}")
    total = w.add(ops.RowSum, "cross_pattern.sum", (stage, top), ROW, r"Z = \sum_k e^{s_{q,k} - m}")
    formula = r"p_{q,k} = \frac{e^{s_{q,k} - m}}{Z}"
    pattern = w.add(ops.Softmax, "cross_pattern", (stage, top, total), MAP, formula)
    formula = rf"z_{{q,d}} = \sum_k p_{{q,k}}\, v_{{k,d}}, \quad d \le {c.value_dim}"
    z = w.add(ops.WeightedSum, "cross_z", (pattern, v), HEADS, formula)
    o = p.maps["cross_o"] if p else None
    formula = rf"y_{{h,o}} = \sum_{{d=1}}^{{{c.value_dim}}} z_{{h,d}}\, W_O[(h,d), o]"
    own = b.adapters.get("cross_o", ())
    result = w.linear("cross_result", z, ("head", "token", "feature"), formula, o, own, ops.HeadOutput)
    bias = " + b_o" if o is not None and o.bias is not None else ""
    formula = rf"y_o = \sum_{{h=1}}^{{{c.n_heads}}} \mathrm{{result}}_{{h,o}}{bias}"
    inputs = (result, z) if "cross_o" in b.quantised else (result,)
    return w.add(ops.HeadSum, "cross_out", inputs, STREAM, formula, map=o)


def source_name(e: Encoder) -> str:
    """Name of the encoder's input tensor: token ids, or a sound or a picture."""
    return GIVEN + e.reads if e.reads else SOURCE_TOKENS


def encoder(w: GraphBuilder, e: Encoder) -> None:
    """An encoder that is run by its own code: block by block, where the streams between them are known, and as a whole."""
    given = stream = source_name(e)
    for layer, module in enumerate(e.blocks):
        pre = f"encoder.blocks.{layer}."
        if layer:
            stream = w.add(ops.Add, f"{pre}resid_pre", (stream,), STREAM, "y_i = x_i")
        else:
            more: dict[str, Any] = {"part": "encoder_in", "module": e.module}
            stream = w.add(ops.Opaque, f"{pre}resid_pre", (stream,), STREAM, OPAQUE, **more)
        more = {"part": "encoder_block", "module": module, "layer": layer}
        stream = w.add(ops.Opaque, f"{pre}resid_post", (stream,), STREAM, OPAQUE, **more)
    w.add(ops.Opaque, SOURCE_STATE, (given,), STREAM, OPAQUE, part="encoder", module=e.module)
