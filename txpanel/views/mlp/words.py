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
        "The MLP works on each token separately. It computes {neurons} <m>neurons</m> from {width} numbers, "
        "applies an activation function, and projects back down to {width} numbers, which are added to the "
        "residual stream.\n\n"
    )
    gate = (
        _(
            "Here a second projection, the <m>gate</m>, goes through the activation function and is multiplied with "
            "the first one.\n\n"
        )
        if block.gated
        else ""
    )
    mixed = (
        _(
            "There are {experts} such MLPs, the experts; a router chooses {k} of them for each token. This is expert "
            "{expert}.\n\n"
        )
        if block.experts is not None
        else ""
    )
    here = _("For <token>{token}</token>, {share} of the activations are above 0; the MLP output has norm {size}.")
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
            "The curve is computed with the model's own activation function ({name}). “Promotes” and “suppresses” "
            "multiply the neuron's output by the weights of the final normalisation and by the unembedding (direct "
            "logit attribution); later blocks may change this. Neurons are ranked by |activation| × norm of their "
            "column of the down projection."
        ),
        name=activation,
    )
