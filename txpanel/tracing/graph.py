"""The list of a model's operations, in order of computation, built from its anatomy.

With the model's parts the operations carry weights; without (a trace opened from a file) they are the same list, and
those that need weights say so when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from transformers.activations import ACT2FN

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts, ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.operations.base import Operation

STREAM = ("token", "feature")
HEADS = ("head", "token", "dim")
KV_HEADS = ("kv_head", "token", "dim")
MAP = ("head", "query", "key")
ROW = ("head", "query")
NEURONS = ("token", "neuron")


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
        stream = _embedding(_Writer(self, None, anatomy.norm_eps), anatomy, parts)
        for block in anatomy.blocks:
            writer = _Writer(self, block.index, block.norm_eps)
            stream = (_block(writer, anatomy, block, parts.blocks[block.index] if parts else None, stream),)
        _head(_Writer(self, None, anatomy.norm_eps), anatomy, parts, stream[0])

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


class _Writer:
    """Adds operations of one block (or of the ends of the model) under their full names."""

    def __init__(self, graph: Graph, layer: int | None, eps: dict[str, float]) -> None:
        self.graph, self.layer, self.eps = graph, layer, eps
        self.prefix = "" if layer is None else f"blocks.{layer}."

    def leaf(self, name: str, dims: tuple[str, ...]) -> str:
        self.graph.dims[self.prefix + name] = dims
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
        cells = {source: self.graph.dims[source] for source in inputs}
        operation = kind(output=self.prefix + name, inputs=inputs, dims=dims, formula=formula, cells=cells, **more)
        self.graph.keep(operation, self.layer)
        return operation.output

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
        """Mean, variance, scale and the normalised vector."""
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
            ops.Scale, f"{stats}.scale", (var,), at, rf"s = \frac{{1}}{{\sqrt{{\sigma^2 + {_power(eps)}}}}}", eps=eps
        )
        shift = r"(x_i - \mu)" if means else "x_i"
        bias = " + b_i" if parts is not None and parts.bias is not None else ""
        weight = r"\, w_i" if parts is None or parts.weight is not None else ""
        more = {"parts": parts, "over": over, "has_weights": parts is None or parts.weight is not None}
        return self.add(ops.Normalise, name, (source, scale, *means), dims, rf"y_i = {shift}\, s{weight}{bias}", **more)


def _power(x: float) -> str:
    """``1e-05`` as LaTeX: ``10^{-5}``."""
    mantissa, exponent = f"{x:.3g}".split("e") if "e" in f"{x:.3g}" else (f"{x:.3g}", "")
    if not exponent:
        return mantissa
    return (rf"{mantissa} \cdot " if mantissa != "1" else "") + f"10^{{{int(exponent)}}}"


def _product(n: int, m: int, matrix: str, x: str = "x", y: str = "y", bias: bool = False) -> str:
    """A matrix product with its sizes."""
    return rf"{y}_o = \sum_{{i=1}}^{{{n}}} {x}_i\, {{{matrix}}}_{{i,o}}{' + b_o' if bias else ''}, \quad o \le {m}"


def _embedding(w: _Writer, a: Anatomy, parts: ModelParts | None) -> tuple[str, ...]:
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
            _product(a.embed_width, a.width, "W"),
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


def _block(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, stream: tuple[str, ...]) -> str:
    norms = p.norms if p else {}
    formula = r"y_i = \mathrm{token}_i + \mathrm{position}_i" if len(stream) > 1 else "y_i = x_i"
    pre = w.add(ops.Add, "resid_pre", stream, STREAM, formula)
    early = b.norm_place in ("pre", "sandwich")
    read = w.norm("ln1", pre, STREAM, a.width, b.norm_kind, norms.get("ln1")) if early else pre
    z = _attention(w, a, b, p, read)
    attn_out = _write(w, a, b, p, z)
    if b.parallel:
        read = read if b.shared_norm else w.norm("ln2", pre, STREAM, a.width, b.norm_kind, norms.get("ln2"))
        mlp_out = _mlp(w, a, b, p, read)
        return w.add(
            ops.Add, "resid_post", (pre, attn_out, mlp_out), STREAM, r"y_i = x_i + \mathrm{attn}_i + \mathrm{mlp}_i"
        )
    base = read if b.norm_residual else pre
    mid = w.add(ops.Add, "resid_mid", (base, attn_out), STREAM, r"y_i = x_i + \mathrm{attn}_i")
    if b.norm_place == "post":
        mid = w.norm("ln1", mid, STREAM, a.width, b.norm_kind, norms.get("ln1"))
        mlp_out = _mlp(w, a, b, p, mid)
        total = w.add(ops.Add, "resid_sum", (mid, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")
        last = w.norm("ln2", total, STREAM, a.width, b.norm_kind, norms.get("ln2"))
        return w.add(ops.Add, "resid_post", (last,), STREAM, "y_i = x_i")
    read = w.norm("ln2", mid, STREAM, a.width, b.norm_kind, norms.get("ln2")) if early else mid
    mlp_out = _mlp(w, a, b, p, read)
    base = read if b.norm_residual else mid
    return w.add(ops.Add, "resid_post", (base, mlp_out), STREAM, r"y_i = x_i + \mathrm{mlp}_i")


def _attention(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
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


def _queries_keys_values(
    w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str
) -> tuple[str, str, str]:
    made = {}
    for letter, heads, dims in (("q", b.n_heads, HEADS), ("k", b.n_kv_heads, KV_HEADS)):
        norm = p.norms.get(f"{letter}_norm") if p else None
        steps = [f"{letter}_proj" if b.qk_norm else "", f"{letter}_pre_rotary" if b.rotary else "", letter]
        first, *rest = [step for step in steps if step]
        factor = b.q_factor if letter == "q" else 1.0
        formula = _product(a.width, heads * b.head_dim, f"W_{letter.upper()}", y=letter, bias=b.attn_bias)
        more = {"map": p.maps[letter] if p else None, "heads": heads, "factor": factor, "symbol": f"W_{letter.upper()}"}
        name = w.add(ops.Linear, first, (read,), dims, formula, **more)
        if b.qk_norm:
            over, size = ((0, 2), heads * b.head_dim) if b.qk_norm == "all" else ((-1,), b.head_dim)
            name = w.norm(rest.pop(0), name, dims, size, b.qk_norm_kind, norm, over, f"{letter}_norm")
        made[letter] = _rotate(w, b, name, rest[0], dims) if b.rotary else name
    formula = _product(a.width, b.n_kv_heads * b.value_dim, "W_V", y="v", bias=b.attn_bias)
    v = w.add(
        ops.Linear, "v", (read,), KV_HEADS, formula, map=p.maps["v"] if p else None, heads=b.n_kv_heads, symbol="W_V"
    )
    return made["q"], made["k"], v


def _rotate(w: _Writer, b: BlockAnatomy, source: str, name: str, dims: tuple[str, ...]) -> str:
    assert b.rotary is not None
    angle = tuple(w.leaf(f"rotary_{part}", ("token", "pair")) for part in ("cos", "sin"))
    series = rf",\ \theta_j = {b.rotary.base:,.0f}^{{-2j/{b.rotary.dims}}}" if b.rotary.base else ""
    formula = rf"(a, b) \mapsto (a \cos t\theta_j - b \sin t\theta_j,\ b \cos t\theta_j + a \sin t\theta_j){series}"
    return w.add(ops.Rotate, name, (source, *angle), dims, formula, rotary=b.rotary)


def _latent(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> tuple[str, str, str]:
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
            _product(a.width, size, "W_{DQ}"),
            map=maps.get("q_latent"),
            symbol="W_DQ",
        )
        source = w.norm("q_latent_norm", source, STREAM, size, "RMSNorm", norms.get("q_latent_norm"))
    q = w.add(
        ops.Linear,
        "q_pre_rotary",
        (source,),
        HEADS,
        _product(size, b.n_heads * b.head_dim, "W_Q", y="q"),
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
        _product(a.width, latent.kv_rank, "W_{DKV}"),
        map=maps.get("kv_latent"),
        symbol="W_DKV",
    )
    kv = w.norm("kv_latent_norm", kv, STREAM, latent.kv_rank, "RMSNorm", norms.get("kv_latent_norm"))
    rope = w.add(
        ops.Linear,
        "k_rope",
        (read,),
        KV_HEADS,
        _product(a.width, latent.rope_dims, "W_{KR}"),
        map=maps.get("k_rope"),
        heads=1,
        symbol="W_KR",
    )
    nope_formula = _product(latent.kv_rank, b.n_heads * latent.nope_dims, "W_{UK}", y="k")
    nope = w.add(
        ops.Linear, "k_nope", (kv,), KV_HEADS, nope_formula, map=maps.get("k_nope"), heads=b.n_heads, symbol="W_UK"
    )
    k = w.add(ops.Join, "k_pre_rotary", (nope, rope), KV_HEADS, r"k = [k^{\mathrm{nope}},\ k^{\mathrm{rope}}]")
    k = _rotate(w, b, k, "k", KV_HEADS)
    formula = _product(latent.kv_rank, b.n_heads * b.value_dim, "W_{UV}", y="v")
    v = w.add(ops.Linear, "v", (kv,), KV_HEADS, formula, map=maps.get("v"), heads=b.n_heads, symbol="W_UV")
    return q, k, v


def _write(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, z: str) -> str:
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
    return _added(
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


def _added(
    w: _Writer,
    a: Anatomy,
    b: BlockAnatomy,
    p: BlockParts | None,
    part: str,
    kind: type[Operation],
    inputs: tuple[str, ...],
    formula: str,
    **more: Any,
) -> str:
    """The last step of a sublayer, then the norm or factor that stands before the residual's plus."""
    normed = b.norm_place in ("sandwich", "branch")
    direct = not normed and b.residual_multiplier == 1.0
    name = w.add(kind, f"{part}_out" if direct else f"{part}_proj", inputs, STREAM, formula, **more)
    if normed:
        return w.norm(
            f"{part}_out",
            name,
            STREAM,
            a.width,
            b.norm_kind,
            p.norms.get(f"{part}_norm") if p else None,
            stats=f"{part}_norm",
        )
    if b.residual_multiplier != 1.0:
        return w.add(
            ops.Times,
            f"{part}_out",
            (name,),
            STREAM,
            rf"y_i = {b.residual_multiplier:g}\, x_i",
            factor=b.residual_multiplier,
        )
    return name


def _mlp(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    if b.experts:
        return _experts(w, a, b, p, read)
    post = _neurons(w, a, b, p, read, "mlp", "", b.n_neurons)
    formula = _product(b.n_neurons, a.width, r"W_{\mathrm{down}}", bias=b.mlp_bias)
    return _added(w, a, b, p, "mlp", ops.Linear, (post,), formula, map=p.maps["down"] if p else None, symbol="W_down")


def _neurons(
    w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str, name: str, prefix: str, size: int
) -> str:
    """The two (gated) or one projections up, and the activation: [T, F]."""
    maps, function = (p.maps if p else {}), _activation(b, p)
    up = w.add(
        ops.Linear,
        f"{name}_pre",
        (read,),
        NEURONS,
        _product(a.width, size, r"W_{\mathrm{up}}", bias=b.mlp_bias),
        map=maps.get(prefix + "up"),
        symbol="W_up",
    )
    act = rf"\mathrm{{{_latex_name(b.activation)}}}"
    if not b.gated:
        return w.add(
            ops.Activation,
            f"{name}_post",
            (up,),
            NEURONS,
            rf"y_n = {act}(x_n)",
            function=function,
            function_name=b.activation,
        )
    gate_formula = _product(a.width, size, r"W_{\mathrm{gate}}", bias=b.mlp_bias)
    gate = w.add(
        ops.Linear, f"{name}_gate", (read,), NEURONS, gate_formula, map=maps.get(prefix + "gate"), symbol="W_gate"
    )
    return w.add(
        ops.Gate,
        f"{name}_post",
        (gate, up),
        NEURONS,
        rf"y_n = {act}(\mathrm{{gate}}_n) \cdot \mathrm{{up}}_n",
        function=function,
        function_name=b.activation,
    )


def _activation(b: BlockAnatomy, p: BlockParts | None) -> Callable[[Tensor], Tensor] | None:
    """The block's own activation; by its name where there is no model (an opened trace)."""
    if p is not None:
        return p.activation
    return ACT2FN.get(b.activation, None)


def _latex_name(name: str) -> str:
    return name.replace("_", r"\_")


def _experts(w: _Writer, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    e, maps = b.experts, p.maps if p else {}
    assert e is not None
    slots, bias = ("token", "slot", "neuron"), p.router_bias if p else None
    router = w.add(
        ops.Linear,
        "router",
        (read,),
        ("token", "expert"),
        _product(a.width, e.n, "W_R"),
        map=maps.get("router"),
        symbol="W_R",
    )
    index = w.add(
        ops.ExpertChoice,
        "expert_index",
        (router,),
        ("token", "slot"),
        rf"\mathrm{{the}}\ {e.k}\ \mathrm{{highest\ of}}\ {e.n}",
        experts=e,
        bias=bias,
    )
    rule = {
        "topk-softmax": r"\mathrm{softmax\ over\ the\ chosen}",
        "sigmoid-groups": rf"\sigma(r_e) / \Sigma \cdot {e.factor:g}",
    }.get(e.router, r"\mathrm{softmax}(r)_e")
    weight = w.add(
        ops.ExpertWeight, "expert_weight", (router, index), ("token", "slot"), f"w_e = {rule}", experts=e, bias=bias
    )
    up = w.add(
        ops.ExpertLinear,
        "mlp_pre",
        (read, index),
        slots,
        _product(a.width, b.n_neurons, r"W_{\mathrm{up}}^{(e)}"),
        map=maps.get("up"),
        symbol="W_up",
    )
    gate = w.add(
        ops.ExpertLinear,
        "mlp_gate",
        (read, index),
        slots,
        _product(a.width, b.n_neurons, r"W_{\mathrm{gate}}^{(e)}"),
        map=maps.get("gate"),
        symbol="W_gate",
    )
    if b.gate_kind == "clamped":
        formula = rf"y = (u + 1)\, g\, \sigma({b.swiglu_alpha:g}\, g), \quad g \le {b.swiglu_limit:g}"
        post = w.add(
            ops.ClampedGate, "mlp_post", (gate, up), slots, formula, limit=b.swiglu_limit, alpha=b.swiglu_alpha
        )
    else:
        formula = rf"y_n = \mathrm{{{_latex_name(b.activation)}}}(\mathrm{{gate}}_n) \cdot \mathrm{{up}}_n"
        post = w.add(
            ops.Gate, "mlp_post", (gate, up), slots, formula, function=_activation(b, p), function_name=b.activation
        )
    down = _product(b.n_neurons, a.width, r"W_{\mathrm{down}}^{(e)}")
    out = w.add(
        ops.ExpertLinear,
        "expert_out",
        (post, index),
        ("token", "slot", "feature"),
        down,
        map=maps.get("down"),
        symbol="W_down",
    )
    shared: tuple[str, ...] = ()
    if e.shared:
        hidden = _neurons(w, a, b, p, read, "shared", "shared_", e.shared)
        down = _product(e.shared, a.width, r"W_{\mathrm{down}}")
        shared = (
            w.add(ops.Linear, "shared_out", (hidden,), STREAM, down, map=maps.get("shared_down"), symbol="W_down"),
        )
    plus = r" + \mathrm{shared}_i" if shared else ""
    return _added(
        w,
        a,
        b,
        p,
        "mlp",
        ops.Mix,
        (weight, out, *shared),
        rf"y_i = \sum_{{s=1}}^{{{e.k}}} w_s\, \mathrm{{expert}}_{{s,i}}{plus}",
    )


def _head(w: _Writer, a: Anatomy, parts: ModelParts | None, stream: str) -> None:
    norms, maps = (parts.norms, parts.maps) if parts else ({}, {})
    if a.final_norm:
        stream = w.norm("ln_final", stream, STREAM, a.width, a.final_norm, norms.get("ln_final"))
    if a.output_projection:
        stream = w.add(
            ops.Linear,
            "output_proj",
            (stream,),
            STREAM,
            _product(a.width, a.embed_width, "W"),
            map=maps.get("output_projection"),
        )
    steps = (
        ["logits_raw"]
        + (["logits_scaled"] if a.logit_scale != 1.0 else [])
        + (["logits_capped"] if a.logit_softcap else [])
    )
    steps[-1] = "logits"
    formula = _product(a.embed_width, a.vocab, "W_U", bias=a.logit_bias)
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
