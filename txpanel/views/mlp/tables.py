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
        _("into the activation"): found.x.tolist(),
        _("out of it"): activated.tolist(),
    }
    if found.up is not None:
        columns[_("up")] = found.up.tolist()
    columns[_("value")] = found.post.tolist()
    return Table.of(found.x_name, **columns)


def neurons(writers: Sequence[NeuronWrite]) -> Table:
    """The neurons that write most, and the tokens that their writes point to."""
    heads = [
        _("neuron"),
        _("into the activation"),
        _("up"),
        _("value"),
        _("size of its write"),
        _("points towards"),
        _("away from"),
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
    return Table(heads, rows, _("Neurons that write most"))


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
