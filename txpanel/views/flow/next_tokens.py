"""The next tokens beside the lane that predicts them: what the model itself gives each, and what is left of that with the settings.

Shapes: K listed tokens, V tokens of the vocabulary, T tokens of the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txpanel.decoding import FIELDS, Sample, Settings, uniform
from txpanel.decoding import sample as sample_logits
from txpanel.decoding.fast_sort import ascending
from txpanel.decoding.ranking import listed
from txpanel.decoding.softmax import softmax
from txpanel.errors import NoTokenLeft
from txpanel.views.distribution import others_name, token_names

if TYPE_CHECKING:
    from txpanel.session.state import ModelState
    from txpanel.tracing import Trace

__all__ = ["LISTED", "came", "drawn", "next_payload", "odds_payload", "sample_at"]

LISTED = 13
"""Next tokens listed one by one."""
NAMED = 200
"""Likeliest tokens whose text travels with the logits; another that comes into the list is named by the server's own list."""


def drawn(state: ModelState) -> int | None:
    """The token drawn with the sampling settings; None where the answer does not stand at the chosen token, or nothing is drawn."""
    last = state.query == state.trace.answer
    return state.sampled.token if state.sampled is not None and last else None


def sample_at(state: ModelState) -> Sample | None:
    """All stages after the chosen token, with the settings in use; None where they leave no token."""
    trace, settings, position = state.trace, state.settings, state.query
    known = state.sampled
    last = position == trace.answer
    logits = np.asarray((trace.logits if last else trace.logits_at(position)).values, np.float32)
    if last and known is not None and known.settings == settings and np.array_equal(known.logits, logits):
        return known
    try:
        return sample_logits(logits, settings, read(trace, position))
    except NoTokenLeft:
        return None


def came(state: ModelState) -> dict[str, Any]:
    """What follows the chosen token in the text, and how it came there; empty where nothing does, and of a model that fills gaps.

    Returns:
        ``how``: ``"text"`` (it is part of the prompt), ``"hand"`` (it was chosen), ``"greedy"`` or ``"drawn"``, and ``token`` (its text); of a drawn
        one also ``seed``, ``uniform``, ``low`` and ``high``.
    """
    trace, tree, position = state.trace, state.tree, state.query
    if trace.anatomy.fills or state.stale:
        return {}
    after = position + 1 - (len(tree.start) or len(trace.tokens.ids))
    if after < 0:
        return {"how": "text", "token": trace.tokens.strings[position + 1]}
    path = tree.path(tree.at)
    found = path[after] if after < len(path) else tree.following(tree.at)
    if found is None:
        return {}
    node = tree.node(found)
    if node.draw is None:
        return {"how": "hand", "token": node.string}
    if node.settings.temperature == 0:
        return {"how": "greedy", "token": node.string}
    draw = node.draw
    numbers = {"seed": draw.seed, "uniform": draw.uniform, "low": draw.low, "high": draw.high}
    return {"how": "drawn", "token": node.string, **numbers}


def read(trace: Trace, position: int) -> npt.NDArray[np.int64]:
    """The ids that a prediction at a position depends on: those up to it, or all of the text for a model that fills gaps."""
    return trace.tokens.ids if trace.anatomy.fills else trace.tokens.ids[: position + 1]


def next_payload(
    trace: Trace, position: int, sampled: int | None = None, sample: Sample | None = None, most: int = LISTED
) -> dict[str, Any]:
    """The distribution over the token after `position`, twice: the model's own softmax, and with the settings of `sample`.

    Of a model that fills gaps it is the one over the token in that very place.

    Args:
        sampled: the drawn token; it takes the last place if it is none of those listed.
        sample: of the logits at this position; None: as the model gives them, nothing is set.

    Returns:
        ``position``, ``tensors`` (names of its logits and probabilities), ``left`` (name of what the others hold), ``ids`` int32 [K], ``strings``,
        ``probability`` float32 [K] (the model's own), ``share`` float32 [K] (with the settings; 0: cut off), ``others`` (how many tokens are not
        listed), ``rest`` and ``rest_share`` (what they hold together), ``rest_left`` (how many of them the settings leave), ``vocab``,
        ``sampled`` (the drawn token's place in the list, -1: nothing drawn), ``draw`` (its interval from ``low`` to ``high``, and how many tokens were
        ``kept``; None: nothing drawn), ``settings`` (a value for each stage, the seed, and the seed's
        ``uniform`` number).
    """
    values = np.asarray(trace.logits_at(position).values, np.float32)
    logits = values.astype(np.float64)
    probability = softmax(logits)
    whole = sample if sample is not None else sample_logits(logits, Settings())
    ids = listed(whole, most, sampled)
    share = whole.probabilities
    at = np.flatnonzero(ids == sampled) if sampled is not None else np.zeros(0, int)
    order = ascending(-values)
    own = ("logits", "probs", f"probs.{others_name(order, ids.tolist())}")
    logit, odds, left = (trace.lens_name(trace.anatomy.n_layers, position, name) for name in own)
    rest_left = whole.stages[-2].kept - int(np.count_nonzero(share[ids]))
    return {
        "position": position,
        "tensors": [logit, odds],
        "left": left,
        "ids": ids.astype(np.int32),
        "strings": token_names(trace, ids),
        "probability": probability[ids].astype(np.float32),
        "share": share[ids].astype(np.float32),
        "others": int(len(probability) - len(ids)),
        "rest": float(np.delete(probability, ids).sum()),
        "rest_share": float(np.delete(share, ids).sum()),
        "rest_left": max(0, rest_left),
        "vocab": len(probability),
        "sampled": int(at[0]) if at.size else -1,
        "draw": {"low": whole.draw.low, "high": whole.draw.high, "kept": whole.stages[-2].kept} if at.size else None,
        "settings": {name: getattr(whole.settings, name) for name in FIELDS}
        | {"uniform": uniform(whole.settings.seed)},
    }


def odds_payload(trace: Trace, position: int) -> dict[str, Any]:
    """What the browser needs to move the list with a slider before the server has heard of it.

    Returns:
        ``position``, ``logits`` float32 [V], ``text`` int32 (the ids read, for stages that look back), and of the likeliest
        tokens ``ids`` int32 [N] and ``names``.
    """
    logits = np.asarray(trace.logits_at(position).values, np.float32)
    best = ascending(-logits)[:NAMED]
    return {
        "position": position,
        "logits": logits,
        "text": np.asarray(read(trace, position), np.int32),
        "ids": best.astype(np.int32),
        "names": token_names(trace, best),
    }
