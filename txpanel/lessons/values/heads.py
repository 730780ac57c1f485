"""Values of the heads that a model has, found on the spot: measured on repeated random tokens (`txpanel.head_scores`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from txpanel.errors import TxpanelError, Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import value
from txpanel.messages import _

if TYPE_CHECKING:
    import xarray as xr


def _known(here: Situation, *_kind: object) -> bool:
    """Whether the heads have been measured, or cannot be."""
    from txpanel.tracing.head_scores import kept_scores  # late: torch; a page is painted before

    return here.trace.model is None or kept_scores(here.trace.model) is not None


@value("found.block", "ordinal", "word", known=_known)
def _found_block(here: Situation, kind: str) -> int:
    """Block of the head that does most of a kind: “previous”, “induction”, “duplicate”, “first” or “self”."""
    return _best(here, kind)[0]


@value("found.head", "ordinal", "word", known=_known)
def _found_head(here: Situation, kind: str) -> int:
    """The head itself, in its block."""
    return _best(here, kind)[1]


@value("found.score", "share", "word", known=_known)
def _found_score(here: Situation, kind: str) -> float:
    """Its mean attention weight on the token that the kind is about, on repeated random tokens."""
    return float(np.nanmax(_scores(here, kind).values))


@value("found.many", "count", "word", "number", known=_known)
def _found_many(here: Situation, kind: str, least: float) -> int:
    """How many heads of the model have at least such a score."""
    return int((np.nan_to_num(_scores(here, kind).values) >= least).sum())


MANY = 0.3
"""A head does what a kind of heads does from such a score on."""


def some_heads(here: Situation, kind: str) -> bool:
    """Whether the model has a head of a kind. Measures the heads where they have not been measured: for paragraphs of steps that name them."""
    try:
        return bool((np.nan_to_num(_scores(here, kind).values) >= MANY).any())
    except TxpanelError:
        return False


def _scores(here: Situation, kind: str) -> xr.DataArray:
    from txpanel.tracing.head_scores import KINDS, head_scores  # late: torch; a page is painted before

    if kind not in KINDS:
        raise Unsupported(
            _("There is no kind “{kind}” of heads; there are: {all}.").format(kind=kind, all=", ".join(KINDS))
        )
    if here.trace.model is None:
        raise Unsupported(_("This run was opened from a file, without its model."))
    return head_scores(here.trace.model, kind)


def _best(here: Situation, kind: str) -> tuple[int, int]:
    found = np.nan_to_num(_scores(here, kind).values, nan=-1.0)
    layer, head = np.unravel_index(int(found.argmax()), found.shape)
    return int(layer), int(head)
