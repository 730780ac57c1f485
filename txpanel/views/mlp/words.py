"""The sentences of the MLP view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.text import Paragraph, rich
from txpanel.views.mlp.data import Neurons

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["lead", "notes"]


def lead(trace: Trace, layer: int, position: int, found: Neurons, activated: np.ndarray) -> list[Paragraph]:
    """What an MLP does, and what this one does for one token; `activated` are the activation's values, float32 ``[F]``."""
    block = trace.anatomy.blocks[layer]
    first = _(
        "Now each token works on its own. Its {width} numbers go up to {neurons} <m>neurons</m>, "
        "through a curve that lets strong signals pass and shuts weak ones, "
        "and back down to {width}, which are added to its lane.\n\n"
    )
    gate = (
        _(
            "Here a second projection, the <m>gate</m>, goes through the curve and decides how much of the first one passes.\n\n"
        )
        if block.gated
        else ""
    )
    mixed = (
        _("Of {experts} such MLPs a router picks {k} for each token; you see expert {expert}.\n\n")
        if block.experts is not None
        else ""
    )
    here = _("For <token>{token}</token>, {share} of the neurons are above zero; what is added has norm {size}.")
    return rich(
        first + mixed + gate + here,
        width=count(trace.anatomy.width),
        neurons=count(found.x.size),
        token=trace.tokens.strings[position],
        size=number(float(trace.tensor(f"blocks.{layer}.mlp_out")[position].norm())),
        share=percent(float((activated > 0).mean())),
        experts=block.experts.n if block.experts is not None else 0,
        k=block.experts.k if block.experts is not None else 0,
        expert=found.expert,
    )


def notes(activation: str) -> list[Paragraph]:
    """For engineers: where the curve comes from, and how the neurons are ranked and read."""
    return rich(
        _(
            "The curve is the model's own activation module ({name}), evaluated. “Points towards” multiplies what "
            "the neuron writes by the gain of the final norm and by the "
            "unembedding: a direct reading; later blocks may change it. Ranking: |value| × norm of the neuron's column of the down projection."
        ),
        name=activation,
    )
