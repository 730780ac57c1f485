"""What the heads of a model do, measured on repeated random tokens, so that the meaning of a text plays no part."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from txpanel.errors import TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.turns import stop_if_unwanted

if TYPE_CHECKING:
    from txpanel.models.changed import State
    from txpanel.models.language_model import LanguageModel
    from txpanel.tracing.trace import Trace

__all__ = ["KINDS", "head_scores", "kept_scores"]

KINDS = ("previous", "induction", "duplicate", "first", "self")
HALF = 24
"""Number of random tokens; the text has them twice."""
SEED = 20
LEAST = 3

_kept: weakref.WeakKeyDictionary[LanguageModel, tuple[State, dict[str, xr.DataArray]]] = weakref.WeakKeyDictionary()


def head_scores(model: LanguageModel, kind: str = "induction") -> xr.DataArray:
    """How far each head of a model does what a kind of heads does, DataArray(layer, head), from 0 to 1.

    The model reads random tokens twice in a row (after its start-of-text token, if it has one). A score is the mean attention
    weight, over the tokens of the second half, on one token: ``previous`` the one before; ``induction`` the one that followed the earlier
    copy (Olsson et al. 2022, arXiv:2209.11895); ``duplicate`` the earlier copy; ``first`` the first token of all; ``self`` itself.

    Args:
        model: opened by txpanel.
        kind: one of these five words.

    Returns:
        float32, NaN where a block has no attention that is opened, or has fewer heads than others.

    Raises:
        ValueError: there is no such kind. Unsupported: no block has an attention that is opened, or the model reads too few tokens.

    Example:
        >>> found = txpanel.head_scores(txpanel.load("smollm2-135m"), "induction")
        >>> layer, head = np.unravel_index(int(found.fillna(0).argmax()), found.shape)
    """
    if kind not in KINDS:
        raise ValueError(
            _("There is no kind “{kind}” of heads; there are: {all}.").format(kind=kind, all=", ".join(KINDS))
        )
    kept = kept_scores(model)
    if kept is None:
        found = _measure(model)
        _kept[model] = (model.state(), found)
        kept = found
    return kept[kind].copy()


def kept_scores(model: LanguageModel) -> dict[str, xr.DataArray] | None:
    """The scores of all kinds if they have been measured and the model is still the same; else None. Costs nothing."""
    state, found = _kept.get(model, (None, None))
    if state is None or state.foreign or state.key != model.state().key:
        return None
    return found


def _measure(model: LanguageModel) -> dict[str, xr.DataArray]:
    anatomy = model.anatomy
    if not anatomy.has_attention:
        raise Unsupported(_("No block of this model has an attention that is opened."))
    before, half = _tokens(model)
    trace = model.trace([*before, *half, *half])
    heads = max(block.n_heads for block in anatomy.blocks if block.has_attention)
    found = {kind: np.full((anatomy.n_layers, heads), np.nan, np.float32) for kind in KINDS}
    for layer, block in enumerate(anatomy.blocks):
        if block.has_attention:
            stop_if_unwanted()
            scores = _of_block(trace, layer, len(before), len(half))
            for kind in KINDS:
                found[kind][layer, : block.n_heads] = scores[kind]
    return {
        kind: xr.DataArray(values, dims=("layer", "head"), name=f"head_scores.{kind}") for kind, values in found.items()
    }


def _of_block(trace: Trace, layer: int, start: int, n: int) -> dict[str, npt.NDArray[np.float32]]:
    """Each kind's score of every head [H], from the pattern [H, T, T] of the second half's tokens."""
    pattern = trace.tensor(f"blocks.{layer}.pattern").numpy()
    rows = np.arange(start + n, start + 2 * n)
    columns = {
        "previous": rows - 1,
        "induction": rows - n + 1,
        "duplicate": rows - n,
        "first": np.zeros_like(rows),
        "self": rows,
    }
    return {kind: pattern[:, rows, at].mean(1) for kind, at in columns.items()}


def _tokens(model: LanguageModel) -> tuple[list[int], list[int]]:
    """Ids of the start-of-text token, if the tokenizer adds one, and of random tokens that are not special."""
    special = {int(one) for one in getattr(model.tokenizer, "all_special_ids", None) or []}
    try:
        first = model.ids("A")[:1]
    except TxpanelError:  # it reads no letters
        first = []
    before = [one for one in first if one in special]
    most = model.anatomy.max_tokens or 10**6
    n = min(HALF, (most - len(before)) // 2)
    known = min(model.rows, len(model.tokenizer)) if len(model.tokenizer) else model.rows
    usable = np.array([one for one in range(known) if one not in special])
    n = min(n, len(usable))
    if n < LEAST:
        raise Unsupported(_("This model reads too few tokens for its heads to be measured."))
    drawn = np.random.default_rng(SEED).choice(usable, n, replace=False)
    return before, [int(one) for one in drawn]
