"""The operations of attention: from the normalised stream to what attention adds."""

from __future__ import annotations

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import HEADS, KV_HEADS, MAP, ROW, STREAM, GraphBuilder, added, product


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
    if b.alibi:
        stage = w.add(ops.Bias, "scores_biased", (stage, w.leaf("alibi", MAP)), MAP, r"y_{q,k} = s_{q,k} + m_h\, k")
    window = "" if b.window is None else rf",\ k > q - {b.window:,}"
    rule = rf"y_{{q,k}} = \begin{{cases}} s_{{q,k}} & k \le q{window} \\ -\infty & \text{{else}} \end{{cases}}"
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
    return w.add(
        ops.WeightedSum,
        "z",
        (pattern, pre + "v"),
        HEADS,
        rf"z_{{q,d}} = \sum_{{k \le q}} p_{{q,k}}\, v_{{k,d}}, \quad d \le {b.value_dim}",
    )


def write(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, z: str) -> str:
    """From z to what attention adds to the residual stream."""
    o = p.maps["o"] if p else None
    result = w.add(
        ops.HeadOutput,
        "result",
        (z,),
        ("head", "token", "feature"),
        rf"y_{{h,o}} = \sum_{{d=1}}^{{{b.value_dim}}} z_{{h,d}}\, W_O[(h,d), o]",
        map=o,
    )
    bias = " + b_o" if o is not None and o.bias is not None else ""
    return added(
        w,
        a,
        b,
        p,
        "attn",
        ops.HeadSum,
        (result,),
        rf"y_o = \sum_{{h=1}}^{{{b.n_heads}}} \mathrm{{result}}_{{h,o}}{bias}",
        map=o,
    )


def _queries_keys_values(
    w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str
) -> tuple[str, str, str]:
    made = {}
    for letter, heads, dims in (("q", b.n_heads, HEADS), ("k", b.n_kv_heads, KV_HEADS)):
        norm = p.norms.get(f"{letter}_norm") if p else None
        steps = [f"{letter}_proj" if b.qk_norm else "", f"{letter}_pre_rotary" if b.rotary else "", letter]
        first, *rest = [step for step in steps if step]
        factor = b.q_factor if letter == "q" else 1.0
        formula = product(a.width, heads * b.head_dim, f"W_{letter.upper()}", y=letter, bias=b.attn_bias)
        more = {"map": p.maps[letter] if p else None, "heads": heads, "factor": factor, "symbol": f"W_{letter.upper()}"}
        name = w.add(ops.Linear, first, (read,), dims, formula, **more)
        if b.qk_norm:
            over, size = ((0, 2), heads * b.head_dim) if b.qk_norm == "all" else ((-1,), b.head_dim)
            name = w.norm(rest.pop(0), name, dims, size, b.qk_norm_kind, norm, over, f"{letter}_norm")
        made[letter] = _rotate(w, b, name, rest[0], dims) if b.rotary else name
    formula = product(a.width, b.n_kv_heads * b.value_dim, "W_V", y="v", bias=b.attn_bias)
    v = w.add(
        ops.Linear, "v", (read,), KV_HEADS, formula, map=p.maps["v"] if p else None, heads=b.n_kv_heads, symbol="W_V"
    )
    return made["q"], made["k"], v


def _rotate(w: GraphBuilder, b: BlockAnatomy, source: str, name: str, dims: tuple[str, ...]) -> str:
    assert b.rotary is not None
    angle = tuple(w.leaf(f"rotary_{part}", ("token", "pair")) for part in ("cos", "sin"))
    series = rf",\ \theta_j = {b.rotary.base:,.0f}^{{-2j/{b.rotary.dims}}}" if b.rotary.base else ""
    formula = rf"(a, b) \mapsto (a \cos t\theta_j - b \sin t\theta_j,\ b \cos t\theta_j + a \sin t\theta_j){series}"
    return w.add(ops.Rotate, name, (source, *angle), dims, formula, rotary=b.rotary)


def _latent(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> tuple[str, str, str]:
    """q, k, v of multi-head latent attention."""
    latent, maps, norms = b.latent, p.maps if p else {}, p.norms if p else {}
    assert latent is not None
    source, size = read, a.width
    if latent.q_rank is not None:
        size = latent.q_rank
        source = w.add(
            ops.Linear,
            "q_latent",
            (read,),
            STREAM,
            product(a.width, size, "W_{DQ}"),
            map=maps.get("q_latent"),
            symbol="W_DQ",
        )
        source = w.norm("q_latent_norm", source, STREAM, size, "RMSNorm", norms.get("q_latent_norm"))
    q = w.add(
        ops.Linear,
        "q_pre_rotary",
        (source,),
        HEADS,
        product(size, b.n_heads * b.head_dim, "W_Q", y="q"),
        map=maps.get("q"),
        heads=b.n_heads,
        symbol="W_Q",
    )
    q = _rotate(w, b, q, "q", HEADS)
    kv = w.add(
        ops.Linear,
        "kv_latent",
        (read,),
        STREAM,
        product(a.width, latent.kv_rank, "W_{DKV}"),
        map=maps.get("kv_latent"),
        symbol="W_DKV",
    )
    kv = w.norm("kv_latent_norm", kv, STREAM, latent.kv_rank, "RMSNorm", norms.get("kv_latent_norm"))
    rope = w.add(
        ops.Linear,
        "k_rope",
        (read,),
        KV_HEADS,
        product(a.width, latent.rope_dims, "W_{KR}"),
        map=maps.get("k_rope"),
        heads=1,
        symbol="W_KR",
    )
    nope_formula = product(latent.kv_rank, b.n_heads * latent.nope_dims, "W_{UK}", y="k")
    nope = w.add(
        ops.Linear, "k_nope", (kv,), KV_HEADS, nope_formula, map=maps.get("k_nope"), heads=b.n_heads, symbol="W_UK"
    )
    k = w.add(ops.Join, "k_pre_rotary", (nope, rope), KV_HEADS, r"k = [k^{\mathrm{nope}},\ k^{\mathrm{rope}}]")
    k = _rotate(w, b, k, "k", KV_HEADS)
    formula = product(latent.kv_rank, b.n_heads * b.value_dim, "W_{UV}", y="v")
    v = w.add(ops.Linear, "v", (kv,), KV_HEADS, formula, map=maps.get("v"), heads=b.n_heads, symbol="W_UV")
    return q, k, v
