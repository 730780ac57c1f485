"""The tables under the pictures of the MLP view: what a picture shows, in rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.picture import Table
from txpanel.views.mlp.data import Neurons, NeuronWrite, Routing

__all__ = ["curve", "neurons", "router"]


def curve(found: Neurons | None, activated: np.ndarray) -> Table:
    """Argument and value of the activation for every neuron; `activated` is float32 ``[F]``."""
    if found is None:
        return Table([_("neuron")], [])
    columns = {
        _("neuron"): range(found.x.size),
        _("before the activation function"): found.x.tolist(),
        _("after the activation function"): activated.tolist(),
    }
    if found.up is not None:
        columns[_("up")] = found.up.tolist()
    columns[_("activation")] = found.post.tolist()
    return Table.of(found.x_name, **columns)


def neurons(writers: Sequence[NeuronWrite]) -> Table:
    """The neurons that write most, and the tokens that their writes point to."""
    heads = [
        _("neuron"),
        _("before the activation function"),
        _("up"),
        _("activation"),
        _("norm of its output"),
        _("promotes"),
        _("suppresses"),
    ]
    rows = [
        (
            w.neuron,
            w.x,
            w.up,
            w.post,
            w.size,
            " · ".join(t for t, _v, _i in w.promotes),
            " · ".join(t for t, _v, _i in w.resists),
        )
        for w in writers
    ]
    return Table(heads, rows, _("Neurons with the largest outputs"))


def router(route: Routing | None) -> Table:
    """The router's logit for each expert, and the weight of those that were chosen."""
    if route is None:
        return Table([_("expert")], [])
    shares = dict(zip(route.chosen.tolist(), route.weights.tolist(), strict=True))
    return Table(
        [_("expert"), _("router"), _("weight")],
        [(i, float(v), shares.get(i, 0.0)) for i, v in enumerate(route.logits)],
        _("Router"),
    )
