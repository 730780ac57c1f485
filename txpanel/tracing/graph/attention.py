"""The operations of attention: from the normalised stream to what attention adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import HEADS, KV_HEADS, MAP, ROW, STREAM, GraphBuilder, added, product

GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "softplus": nn.functional.softplus}
"""Functions of the gates on what heads give."""


def attention(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    """From the stream that attention reads to z."""
    q, k, _v = _latent(w, a, b, p, read) if b.latent else _queries_keys_values(w, a, b, p, read)
    d, pre = b.head_dim, w.prefix
    scale = rf"\frac{{1}}{{\sqrt{{{d}}}}}" if abs(b.scaling - d**-0.5) < 1e-9 else f"{b.scaling:.6g}"
    scale = "" if b.scaling == 1.0 else scale + " "
    stage = w.add(
        ops.Scores, "scores", (q, k), MAP, rf"s_{{q,k}} = {scale}\sum_{{d=1}}^{{{d}}} q_d\, k_d", scaling=b.scaling
    )
    if b.softcap:
        stage = w.add(
            ops.SoftCap, "scores_capped", (stage,), MAP, rf"y = {b.softcap:g} \tanh(s / {b.softcap:g})", cap=b.softcap
        )
    if b.relative:
        bias = w.add(
            ops.Distances,
            "position_bias",
            ("positions",),
            MAP,
            r"b_{h,q,k} = W_B[\mathrm{bucket}(k - q),\ h]",
            relative=b.relative,
            heads=b.n_heads,
            table_name=p.distances[0] if p and p.distances else "",
            table=p.distances[1] if p and p.distances else None,
        )
        formula = r"y_{q,k} = s_{q,k} + b_{q,k}"
        stage = w.add(ops.Bias, "scores_biased", (stage, bias), MAP, formula, label="bias of the distance")
    elif b.alibi:
        stage = w.add(ops.Bias, "scores_biased", (stage, w.leaf("alibi", MAP)), MAP, r"y_{q,k} = s_{q,k} + m_h\, k")
    window = "" if b.window is None else rf",\ k > q - {b.window:,}"
    rule = rf"y_{{q,k}} = \begin{{cases}} s_{{q,k}} & k \le q{window} \\ -\infty & \text{{else}} \end{{cases}}"
    if not b.causal:  # each query sees keys on both sides, as far as the mask has it
        rule = r"y_{q,k} = \begin{cases} s_{q,k} & \mathrm{mask}_{q,k} \\ -\infty & \text{else} \end{cases}"
    looked_at = r"k \le q" if b.causal else "k"
    masked = w.add(ops.Mask, "masked", (stage, w.leaf("mask", ("query", "key"))), MAP, rule)
    sink = (w.leaf("sinks", ("head",)),) if b.sinks else ()
    top = w.add(ops.RowMax, "pattern.max", (masked, *sink), ROW, r"m = \max_k s_{q,k}")
    total = w.add(
        ops.RowSum,
        "pattern.sum",
        (masked, top, *sink),
        ROW,
        r"Z = \sum_k e^{s_{q,k} - m}" + (r" + e^{\mathrm{sink} - m}" if sink else ""),
    )
    pattern = w.add(ops.Softmax, "pattern", (masked, top, total), MAP, r"p_{q,k} = \frac{e^{s_{q,k} - m}}{Z}")
    z = w.add(
        ops.WeightedSum,
        "z",
        (pattern, pre + "v"),
        HEADS,
        rf"z_{{q,d}} = \sum_{{{looked_at}}} p_{{q,k}}\, v_{{k,d}}, \quad d \le {b.value_dim}",
    )
    return _gated(w, a, b, p, read, z) if b.gate else z


def _gated(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str, z: str) -> str:
    """What heads give, multiplied by the sigmoid of a projection of what attention reads."""
    each = not b.gate_per_head
    size, dims = (b.value_dim, HEADS) if each else (1, ("head", "token", "gate"))
    formula = product(a.width, b.n_heads * size, "W_g", y="g")
    more: dict[str, Any] = {"heads": b.n_heads, "symbol": "W_g"}
    gate = w.linear(
        "z_gate", read, dims, formula, p.maps["z_gate"] if p else None, b.adapters.get("z_gate", ()), **more
    )
    more = {"function": GATES[b.gate], "function_name": b.gate}
    symbol = rf"\mathrm{{{b.gate}}}"
    if not each:
        return w.add(ops.Switched, "z_gated", (gate, z), HEADS, rf"y_d = {symbol}(g_h)\, z_d", **more)
    return w.add(ops.Gate, "z_gated", (gate, z), HEADS, rf"y_d = {symbol}(g_d)\, z_d", **more)


def write(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, z: str) -> str:
    """From z to what attention adds to the residual stream."""
    o = p.maps["o"] if p else None
    result = w.linear(
        "result",
        z,
        ("head", "token", "feature"),
        rf"y_{{h,o}} = \sum_{{d=1}}^{{{b.value_dim}}} z_{{h,d}}\, W_O[(h,d), o]",
        o,
        b.adapters.get("o", ()),
        ops.HeadOutput,
    )
    bias = " + b_o" if o is not None and o.bias is not None else ""
    return added(
        w,
        a,
        b,
        p,
        "attn",
        ops.HeadSum,
        (result, z) if "o" in b.quantised else (result,),
        rf"y_o = \sum_{{h=1}}^{{{b.n_heads}}} \mathrm{{result}}_{{h,o}}{bias}",
        map=o,
    )


def _queries_keys_values(
    w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str
) -> tuple[str, str, str]:
    made = {}
    for letter, heads, dims in (("q", b.n_heads, HEADS), ("k", b.n_kv_heads, KV_HEADS)):
        norm = p.norms.get(f"{letter}_norm") if p else None
        late = b.qk_norm_late and b.qk_norm and b.rotary
        steps = [
            f"{letter}_proj" if b.qk_norm and not late else "",
            f"{letter}_unclipped" if b.clip else "",
            f"{letter}_pre_rotary" if b.rotary else "",
            f"{letter}_rotated" if late else "",
            letter,
        ]
        first, *rest = [step for step in steps if step]
        factor = b.q_factor if letter == "q" else 1.0
        formula = product(a.width, heads * b.head_dim, f"W_{letter.upper()}", y=letter, bias=b.attn_bias)
        more: dict[str, Any] = {"heads": heads, "factor": factor, "symbol": f"W_{letter.upper()}"}
        name = w.linear(first, read, dims, formula, p.maps[letter] if p else None, b.adapters.get(letter, ()), **more)
        if late:
            name = _clipped(w, b.clip, name, rest.pop(0), dims) if b.clip else name
            name = _rotate(w, b, name, rest.pop(0), dims)
        if b.qk_norm:
            over, size = ((0, 2), heads * b.head_dim) if b.qk_norm == "all" else ((-1,), b.head_dim)
            name = w.norm(rest.pop(0), name, dims, size, b.qk_norm_kind, norm, over, f"{letter}_norm")
        name = _clipped(w, b.clip, name, rest.pop(0), dims) if b.clip and not late else name
        made[letter] = _rotate(w, b, name, rest[0], dims) if b.rotary and not late else name
    formula = product(a.width, b.n_kv_heads * b.value_dim, "W_V", y="v", bias=b.attn_bias)
    more = {"heads": b.n_kv_heads, "symbol": "W_V", "factor": b.v_factor}
    first = "v_proj" if b.v_norm else "v_unclipped" if b.clip else "v"
    v = w.linear(first, read, KV_HEADS, formula, p.maps["v"] if p else None, b.adapters.get("v", ()), **more)
    if b.v_norm:
        norm, own = p.norms.get("v_norm") if p else None, "v_unclipped" if b.clip else "v"
        v = w.norm(own, v, KV_HEADS, b.value_dim, b.v_norm, norm, stats="v_norm")
    v = _clipped(w, b.clip, v, "v", KV_HEADS) if b.clip else v
    return made["q"], made["k"], v


def _clipped(w: GraphBuilder, limit: float, source: str, name: str, dims: tuple[str, ...]) -> str:
    """q, k or v within a distance from zero (MPT, OLMo, DBRX: ``clip_qkv``)."""
    return w.add(ops.Clip, name, (source,), dims, rf"y = \min(\max(x, -{limit:g}), {limit:g})", limit=limit)


def _rotate(w: GraphBuilder, b: BlockAnatomy, source: str, name: str, dims: tuple[str, ...]) -> str:
    assert b.rotary is not None
    angle = tuple(w.leaf(f"rotary_{part}", ("token", "pair")) for part in ("cos", "sin"))
    t = "-t" if b.rotary.backwards else "t"
    if b.rotary.base:
        series = rf",\ \theta_j = {b.rotary.base:,.0f}^{{-2j/{b.rotary.dims}}}"
        turned = rf"(a \cos {t}\theta_j - b \sin {t}\theta_j,\ b \cos {t}\theta_j + a \sin {t}\theta_j)"
        formula = rf"(a, b) \mapsto {turned}{series}"
    else:  # cos and sin as the model makes them: scaled angles, or a factor on both
        formula = r"(a, b) \mapsto (a\, c_{t,j} - b\, s_{t,j},\ b\, c_{t,j} + a\, s_{t,j})"
    return w.add(ops.Rotate, name, (source, *angle), dims, formula, rotary=b.rotary)


def _latent(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> tuple[str, str, str]:
    """q, k, v of multi-head latent attention."""
    latent, maps, norms = b.latent, p.maps if p else {}, p.norms if p else {}
    assert latent is not None
    source, size = read, a.width
    if latent.q_rank is not None:
        size = latent.q_rank
        source = w.linear(
            "q_latent",
            read,
            STREAM,
            product(a.width, size, "W_{DQ}"),
            map=maps.get("q_latent"),
            adapters=b.adapters.get("q_latent", ()),
            symbol="W_DQ",
        )
        source = w.norm("q_latent_norm", source, STREAM, size, "RMSNorm", norms.get("q_latent_norm"))
    q = w.linear(
        "q_pre_rotary",
        source,
        HEADS,
        product(size, b.n_heads * b.head_dim, "W_Q", y="q"),
        map=maps.get("q"),
        adapters=b.adapters.get("q", ()),
        heads=b.n_heads,
        symbol="W_Q",
    )
    q = _rotate(w, b, q, "q", HEADS)
    kv = w.linear(
        "kv_latent",
        read,
        STREAM,
        product(a.width, latent.kv_rank, "W_{DKV}"),
        map=maps.get("kv_latent"),
        adapters=b.adapters.get("kv_latent", ()),
        symbol="W_DKV",
    )
    kv = w.norm("kv_latent_norm", kv, STREAM, latent.kv_rank, "RMSNorm", norms.get("kv_latent_norm"))
    rope = w.linear(
        "k_rope",
        read,
        KV_HEADS,
        product(a.width, latent.rope_dims, "W_{KR}"),
        map=maps.get("k_rope"),
        adapters=b.adapters.get("k_rope", ()),
        heads=1,
        symbol="W_KR",
    )
    nope_formula = product(latent.kv_rank, b.n_heads * latent.nope_dims, "W_{UK}", y="k")
    nope = w.linear(
        "k_nope",
        kv,
        KV_HEADS,
        nope_formula,
        map=maps.get("k_nope"),
        adapters=b.adapters.get("k_nope", ()),
        heads=b.n_heads,
        symbol="W_UK",
    )
    k = w.add(ops.Join, "k_pre_rotary", (nope, rope), KV_HEADS, r"k = [k^{\mathrm{nope}},\ k^{\mathrm{rope}}]")
    k = _rotate(w, b, k, "k", KV_HEADS)
    formula = product(latent.kv_rank, b.n_heads * b.value_dim, "W_{UV}", y="v")
    v = w.linear(
        "v", kv, KV_HEADS, formula, map=maps.get("v"), adapters=b.adapters.get("v", ()), heads=b.n_heads, symbol="W_UV"
    )
    return q, k, v
