"""The tables under the pictures of the softmax view: what a picture shows, in rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.picture import Table
from txpanel.views.distribution import Distribution, token_names
from txpanel.views.softmax.data import Histogram

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["bins", "ranks", "steps", "surprisal"]


def steps(trace: Trace, found: Distribution) -> Table:
    """From logit to probability, for every token of the vocabulary."""
    ids = found.order
    columns: dict[str, Any] = {
        _("token"): token_names(trace, ids),
        _("id"): ids,
        _("logit"): found.logits[ids],
        _("logit − max"): found.logits[ids].astype(np.float64) - found.max,
        _("e^(logit − max)"): found.powers[ids],
        _("probability"): found.probabilities[ids],
    }
    return Table.of(_("all tokens, most likely first"), **columns)


def bins(shown: Histogram) -> Table:
    """The histogram of the logits."""
    columns: dict[str, Any] = {
        _("from"): shown.edges[:-1],
        _("to"): shown.edges[1:],
        _("tokens"): shown.counts,
        _("probability"): shown.mass,
    }
    return Table.of(_("logits in bins"), **columns)


def ranks(points: dict[str, Any]) -> Table:
    """The points of the curve by rank: its data source's columns ``rank``, ``name`` and ``logit``."""
    return Table.of(
        _("logits by rank, the points of the curve"),
        **{_("rank"): np.asarray(points["rank"]), _("token"): points["name"], _("logit"): points["logit"]},
    )


def surprisal(trace: Trace) -> Table:
    """Surprisal and probability of each token of the text."""
    bits = trace.surprisal()
    return Table.of(
        _("surprisal of each token"),
        **{
            _("position"): list(range(len(bits))),
            _("token"): trace.tokens.strings,
            _("bits"): bits.tolist(),
            _("probability"): (2.0**-bits).tolist(),
        },
    )
