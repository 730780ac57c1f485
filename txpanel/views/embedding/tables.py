"""The tables under the pictures of the embedding view: what a picture shows, in rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.picture import Table
from txpanel.views.embedding.data import Neighbours, Rotation, pieces

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["nearest", "pairs", "slopes", "tokens"]


def tokens(trace: Trace | None) -> Table:
    """Position, text, id and bytes of each token."""
    rows = [] if trace is None else [(p["at"], p["text"], p["id"], p["bytes"]) for p in pieces(trace)]
    return Table([_("position"), _("token"), _("id"), _("bytes")], rows, _("Tokens of the text"))


def pairs(turn: Rotation | None) -> Table:
    """Each pair of numbers before and after the rotary embedding."""
    columns = [
        _("pair"),
        _("first, before rotation"),
        _("second, before rotation"),
        _("first, after rotation"),
        _("second, after rotation"),
        _("angle (radians)"),
    ]
    if turn is None:
        return Table(columns, [])
    rows = zip(
        (f"{a}, {b}" for a, b in turn.after_at),
        *turn.before.T.tolist(),
        *turn.after.T.tolist(),
        turn.angle.tolist(),
        strict=True,
    )
    return Table(columns, rows, turn.name)


def slopes(found: np.ndarray | None) -> Table:
    """ALiBi's slope of each head, float32 ``[H]``."""
    rows = [] if found is None else [(head + 1, float(value)) for head, value in enumerate(found)]
    return Table([_("head"), _("penalty per position")], rows, _("ALiBi slopes"))


def nearest(found: Neighbours | None) -> Table:
    """The nearest rows of the token table, with their cosines."""
    columns = ([], [], []) if found is None else (found.strings, found.ids.tolist(), found.cosines.tolist())
    rows = zip(*columns, strict=True)
    return Table([_("token"), _("id"), _("cosine")], rows, _("Nearest rows of the embedding matrix"))
