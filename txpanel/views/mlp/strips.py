"""The vectors that the MLP view draws as strips: the inner layer, the down projection as a sum, the experts' answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from txpanel.messages import _, plural
from txpanel.toolkit.format import count, number
from txpanel.toolkit.vector_strips import VectorStrip
from txpanel.views.activation import activation_name
from txpanel.views.mlp.data import Neurons, NeuronWrite, activate, output_name, routing
from txpanel.views.vectors import array, norm_text

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["inner_strips", "mixture_strips", "write_strips"]


def inner_strips(trace: Trace, layer: int, found: Neurons, marks: tuple[int, ...] = ()) -> list[VectorStrip]:
    """Argument of the activation, the activation's value, the second projection, and their product, for one token."""
    p = f"blocks.{layer}."
    act = activate(trace, layer, found.x)
    common: dict[str, Any] = {"index": found.index, "axis": "neuron", "marks": marks}
    name = trace.anatomy.blocks[layer].activation
    if found.up is None:
        out = [
            VectorStrip(
                _("before the activation function"),
                found.x,
                found.x_name,
                note="mlp_pre",
                tail=_share(found.x),
                **common,
            )
        ]
        return [
            *out,
            VectorStrip(
                _("after {name}").format(name=activation_name(name)),
                found.post,
                p + "mlp_post",
                note="mlp_post",
                sign="→",
                strong=True,
                tail=_share(found.post),
                **common,
            ),
        ]
    out = [VectorStrip(_("gate"), found.x, found.x_name, note="mlp_gate", tail=_share(found.x), **common)]
    if act is not None:
        how = f"{name}(mlp_gate[{', '.join(map(str, found.at))}, {{i}}])"
        more = {"derived": how, "sign": "→", "tail": _share(act), **common}
        out.append(VectorStrip(f"{activation_name(name, brief=True)}({_('gate')})", act, p + "mlp_post", **more))
    out.append(VectorStrip(_("up"), found.up, p + "mlp_pre", note="mlp_pre", sign="×", **common))
    return [
        *out,
        VectorStrip(
            _("input of the down projection"),
            found.post,
            p + "mlp_post",
            note="mlp_post",
            sign="=",
            strong=True,
            tail=_share(found.post),
            **common,
        ),
    ]


def _share(values: np.ndarray) -> str:
    return _("{n} of {all} above 0").format(n=count(int((values > 0).sum())), all=count(values.size))


def write_strips(trace: Trace, layer: int, found: Neurons, writers: list[NeuronWrite]) -> list[VectorStrip]:
    """The down projection as a sum of vectors: the strongest neurons, all others, the bias; then what is added to the stream."""
    name, p = output_name(trace, layer), f"blocks.{layer}."
    total = array(trace.tensor(name)[found.at])
    where = ", ".join(map(str, found.at))
    out: list[VectorStrip] = []
    if trace.model is not None:
        down = trace.model.parts.blocks[layer].maps["down"]
        for writer in writers:
            how = f"mlp_post[{where}, {writer.neuron}] · W_down[{writer.neuron} → {{i}}]"
            label = _("neuron {n}").format(n=count(writer.neuron))
            vector = writer.direction * np.float32(writer.post)
            out.append(
                VectorStrip(
                    label,
                    vector,
                    name,
                    found.index,
                    derived=how,
                    group="w",
                    sign="+" if out else "",
                    tail=_("norm {value}").format(value=number(writer.size)),
                )
            )
        left = torch.from_numpy(found.post.copy())
        left[[writer.neuron for writer in writers]] = 0
        rest = array(down.matrix(found.expert) @ left.to(down.device))
        label = plural("{n} other neuron", "{n} other neurons", found.post.size - len(writers)).format(
            n=count(found.post.size - len(writers))
        )
        out.append(
            VectorStrip(
                label,
                rest,
                name,
                found.index,
                derived=_("sum over the other neurons") + "[{i}]",
                group="w",
                sign="+",
                tail=norm_text(rest),
            )
        )
        bias = down.offset(found.expert)
        if bias is not None:
            out.append(
                VectorStrip(
                    _("bias"),
                    array(bias),
                    down.bias_name,
                    {},
                    axis="row",
                    group="w",
                    sign="+",
                    tail=norm_text(array(bias)),
                )
            )
    last = name == p + "mlp_out"
    note = _("added to the residual stream") if last else name.removeprefix(p)
    out.append(
        VectorStrip(
            _("MLP output") if last else _("output of the down projection"),
            total,
            name,
            found.index,
            group="w",
            sign="=",
            strong=last,
            note=note,
            tail=norm_text(total),
        )
    )
    if not last and found.expert is None:
        added = array(trace.tensor(p + "mlp_out")[found.index["token"]])
        out.append(
            VectorStrip(
                _("after normalisation or scaling"),
                added,
                p + "mlp_out",
                {"token": found.index["token"]},
                group="o",
                sign="→",
                strong=True,
                note=_("added to the residual stream"),
                tail=norm_text(added),
            )
        )
    return out


def mixture_strips(trace: Trace, layer: int, position: int) -> list[VectorStrip]:
    """What the chosen experts (and the shared one) return, weighted, and their sum."""
    p, found = f"blocks.{layer}.", routing(trace, layer, position)
    if found is None:
        return []
    out: list[VectorStrip] = []
    for slot, (expert, weight) in enumerate(zip(found.chosen, found.weights, strict=True)):
        vector = array(trace.tensor(p + "expert_out")[position, slot]) * np.float32(weight)
        label = _("{weight} × expert {n}").format(weight=number(float(weight)), n=int(expert))
        how = f"expert_weight[{position}, {slot}] · expert_out[{position}, {slot}, {{i}}]"
        out.append(
            VectorStrip(
                label,
                vector,
                p + "expert_out",
                {"token": position, "slot": slot},
                derived=how,
                group="e",
                sign="+" if out else "",
                tail=norm_text(vector),
            )
        )
    if p + "shared_out" in trace:
        shared = array(trace.tensor(p + "shared_out")[position])
        out.append(
            VectorStrip(
                _("shared expert"),
                shared,
                p + "shared_out",
                {"token": position},
                group="e",
                sign="+",
                tail=norm_text(shared),
            )
        )
    total = array(trace.tensor(p + "mlp_out")[position])
    facts: dict[str, Any] = {"group": "e", "sign": "=", "strong": True, "note": _("added to the residual stream")}
    return [
        *out,
        VectorStrip(_("MLP output"), total, p + "mlp_out", {"token": position}, tail=norm_text(total), **facts),
    ]
