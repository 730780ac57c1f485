"""The operations of an MLP, dense or a mixture of experts."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from transformers.activations import ACT2FN

from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.parts import BlockParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import NEURONS, STREAM, GraphBuilder, added, product


def mlp(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    """From the stream that the MLP reads to what it adds."""
    if b.experts:
        return _experts(w, a, b, p, read)
    post = _neurons(w, a, b, p, read, "mlp", "", b.n_neurons)
    formula = product(b.n_neurons, a.width, r"W_{\mathrm{down}}", bias=b.mlp_bias)
    return added(
        w,
        a,
        b,
        p,
        "mlp",
        ops.Linear,
        (post,),
        formula,
        map=p.maps["down"] if p else None,
        adapters=b.adapters.get("down", ()),
        symbol="W_down",
    )


def _neurons(
    w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str, name: str, prefix: str, size: int
) -> str:
    """The two (gated) or one projections up, and the activation: [T, F]."""
    maps, function = (p.maps if p else {}), _activation(b, p)
    up = w.linear(
        f"{name}_pre",
        read,
        NEURONS,
        product(a.width, size, r"W_{\mathrm{up}}", bias=b.mlp_bias),
        map=maps.get(prefix + "up"),
        adapters=b.adapters.get(prefix + "up", ()),
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
    gate_formula = product(a.width, size, r"W_{\mathrm{gate}}", bias=b.mlp_bias)
    gate = w.linear(
        f"{name}_gate",
        read,
        NEURONS,
        gate_formula,
        map=maps.get(prefix + "gate"),
        adapters=b.adapters.get(prefix + "gate", ()),
        symbol="W_gate",
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
    """The block's activation function; looked up by its name where there is no model (an opened trace)."""
    if p is not None:
        return p.activation
    known: bool = b.activation in ACT2FN  # its `get` gives the class, not a function
    return ACT2FN[b.activation] if known else None


def _latex_name(name: str) -> str:
    return name.replace("_", r"\_")


def _experts(w: GraphBuilder, a: Anatomy, b: BlockAnatomy, p: BlockParts | None, read: str) -> str:
    e, maps = b.experts, p.maps if p else {}
    assert e is not None
    slots, bias = ("token", "slot", "neuron"), p.router_bias if p else None
    router = w.linear(
        "router",
        read,
        ("token", "expert"),
        product(a.width, e.n, "W_R"),
        map=maps.get("router"),
        adapters=b.adapters.get("router", ()),
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
    divided = r" / \Sigma" if e.normalised else ""
    rule = {
        "topk-softmax": r"\mathrm{softmax\ over\ the\ chosen}",
        "sigmoid-groups": rf"\sigma(r_e) / \Sigma \cdot {e.factor:g}",
        "sigmoid": rf"\sigma(r_e){divided} \cdot {e.factor:g}",
        "softmax": rf"\mathrm{{softmax}}(r)_e{divided} \cdot {e.factor:g}",
    }.get(e.router, r"\mathrm{softmax}(r)_e")
    weight = w.add(
        ops.ExpertWeight, "expert_weight", (router, index), ("token", "slot"), f"w_e = {rule}", experts=e, bias=bias
    )
    up = w.add(
        ops.ExpertLinear,
        "mlp_pre",
        (read, index),
        slots,
        product(a.width, b.n_neurons, r"W_{\mathrm{up}}^{(e)}"),
        map=maps.get("up"),
        symbol="W_up",
    )
    gate = w.add(
        ops.ExpertLinear,
        "mlp_gate",
        (read, index),
        slots,
        product(a.width, b.n_neurons, r"W_{\mathrm{gate}}^{(e)}"),
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
    down = product(b.n_neurons, a.width, r"W_{\mathrm{down}}^{(e)}")
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
        down = product(e.shared, a.width, r"W_{\mathrm{down}}")
        shared = (
            w.linear(
                "shared_out",
                hidden,
                STREAM,
                down,
                map=maps.get("shared_down"),
                adapters=b.adapters.get("shared_down", ()),
                symbol="W_down",
            ),
        )
    if e.switch:
        gate = w.linear(
            "shared_switch",
            read,
            ("token", "gate"),
            product(a.width, 1, "W_s"),
            map=maps.get("shared_switch"),
            symbol="W_s",
        )
        formula = r"y_i = \sigma(s)\, \mathrm{shared}_i"
        shared = (w.add(ops.Switched, "shared_switched", (gate, *shared), STREAM, formula),)
    plus = r" + \mathrm{shared}_i" if shared else ""
    by = "" if e.outer == 1.0 else rf"{e.outer:g}\, "
    return added(
        w,
        a,
        b,
        p,
        "mlp",
        ops.Mix,
        (weight, out, *shared),
        rf"y_i = {by}\sum_{{s=1}}^{{{e.k}}} w_s\, \mathrm{{expert}}_{{s,i}}{plus}",
        factor=e.outer,
    )
