"""Values of embeddings, the residual stream, normalisation and the MLP."""

from __future__ import annotations

import numpy as np

from txpanel.errors import Unsupported
from txpanel.lessons.situation import Array, Situation
from txpanel.lessons.values.declared import value
from txpanel.messages import _


def _norm(row: Array) -> float:
    return float(np.linalg.norm(row.astype(np.float64)))


@value("embedding.norm", "number", "place")
def _embedding_norm(here: Situation, at: int) -> float:
    """Norm of a token's embedding."""
    return _norm(here.tensor("embed")[at])


@value("embedding.cosine", "number", "place", "place")
def _embedding_cosine(here: Situation, one: int, other: int) -> float:
    """Cosine of the angle between the embeddings of two tokens of the text."""
    rows = here.tensor("embed").astype(np.float64)
    return float(rows[one] @ rows[other] / max(1e-12, np.linalg.norm(rows[one]) * np.linalg.norm(rows[other])))


@value("stream.norm", "number", "place")
def _stream_norm(here: Situation, at: int) -> float:
    """Norm of the residual stream before the block that one looks at."""
    return _norm(here.tensor("blocks.{l}.resid_pre")[at])


@value("stream.first", "number", "place")
def _stream_first(here: Situation, at: int) -> float:
    """Norm of the residual stream before the first block."""
    return _norm(here.tensor("blocks.0.resid_pre")[at])


@value("stream.end", "number", "place")
def _stream_end(here: Situation, at: int) -> float:
    """Norm of the residual stream after the last block."""
    return _norm(here.tensor(f"blocks.{here.anatomy.n_layers - 1}.resid_post")[at])


@value("stream.median", "number")
def _stream_median(here: Situation) -> float:
    """Median over the tokens of the norm of the residual stream before the block that one looks at."""
    return float(np.median(np.linalg.norm(here.tensor("blocks.{l}.resid_pre"), axis=1)))


@value("stream.rms", "number", "place")
def _stream_rms(here: Situation, at: int) -> float:
    """Root mean square of the numbers of the residual stream before the block that one looks at."""
    row = here.tensor("blocks.{l}.resid_pre")[at].astype(np.float64)
    return float(np.sqrt((row**2).mean()))


@value("normalised.norm", "number", "place")
def _normalised(here: Situation, at: int) -> float:
    """Norm of the input of attention, after the normalisation."""
    return _norm(here.tensor("blocks.{l}.ln1")[at])


@value("attention.norm", "number", "place")
def _attention_norm(here: Situation, at: int) -> float:
    """Norm of what attention adds to the residual stream."""
    return _norm(here.tensor("blocks.{l}.attn_out")[at])


@value("mlp.norm", "number", "place")
def _mlp_norm(here: Situation, at: int) -> float:
    """Norm of what the MLP adds to the residual stream."""
    return _norm(here.tensor("blocks.{l}.mlp_out")[at])


@value("attention.share", "share", "place")
def _attention_share(here: Situation, at: int) -> float:
    """Norm of what attention adds, as a share of the norm of the residual stream before the block."""
    return _norm(here.tensor("blocks.{l}.attn_out")[at]) / _norm(here.tensor("blocks.{l}.resid_pre")[at])


def _neurons(here: Situation) -> Array:
    if here.block.experts is not None:
        raise Unsupported(_("This block has several MLPs: its neurons are those of its experts."))
    return here.tensor("blocks.{l}.mlp_post")


@value("neurons.active", "count", "place")
def _active(here: Situation, at: int) -> int:
    """How many neurons have a positive number at a token."""
    return int((_neurons(here)[at] > 0).sum())


@value("neurons.share", "share", "place")
def _active_share(here: Situation, at: int) -> float:
    """Share of the neurons with a positive number at a token."""
    row = _neurons(here)[at]
    return float((row > 0).sum() / len(row))


@value("neuron.top", "count", "place")
def _neuron_top(here: Situation, at: int) -> int:
    """The neuron with the largest number at a token; neurons count from 0."""
    return int(np.argmax(_neurons(here)[at]))


@value("neuron.value", "number", "place")
def _neuron_value(here: Situation, at: int) -> float:
    """The largest number that a neuron has at a token."""
    return float(_neurons(here)[at].max())


@value("neuron.tokens", "count", "place")
def _neuron_tokens(here: Situation, at: int) -> int:
    """At how many tokens the neuron that is largest at a token has a positive number."""
    found = _neurons(here)
    return int((found[:, int(np.argmax(found[at]))] > 0).sum())


@value("neuron.shared", "place")
def _neuron_shared(here: Situation) -> int:
    """The token whose largest neuron has, compared with its number there, the largest one at another token (no copy of it)."""
    found, every = _neurons(here), range(len(here.ids))
    shares = [_elsewhere(here, at).max() / found[at].max() if found[at].max() > 0 else -np.inf for at in every]
    if not max(shares) > 0:
        raise Unsupported(_("No neuron that is largest at a token of this text is positive at another one."))
    return int(np.argmax(shares))


@value("neuron.other", "place", "place")
def _neuron_other(here: Situation, at: int) -> int:
    """The last token whose largest neuron is another one than that of the given token, or, where there is none, that token itself."""
    largest = _neurons(here).argmax(axis=1)
    others = np.flatnonzero(largest != largest[at])
    return int(others[-1]) if others.size else at


@value("neuron.second", "place", "place")
def _neuron_second(here: Situation, at: int) -> int:
    """The token, no copy of the given one, at which the neuron that is largest there has its largest number; refused where that is not positive."""
    row = _elsewhere(here, at)
    best = int(np.argmax(row))
    if not row[best] > 0:
        raise Unsupported(_("No neuron that is largest at a token of this text is positive at another one."))
    return best


@value("neuron.least", "place", "place")
def _neuron_least(here: Situation, at: int) -> int:
    """The token at which that neuron has its smallest number."""
    return int(np.argmin(_neurons(here)[:, _neuron_top(here, at)]))


@value("neuron.at", "number", "place", "place")
def _neuron_at(here: Situation, at: int, other: int) -> float:
    """The number that the neuron which is largest at a token has at another one."""
    return float(_neurons(here)[other, _neuron_top(here, at)])


def _elsewhere(here: Situation, at: int) -> Array:
    """The numbers of a token's largest neuron at all tokens, that one and its copies left out of the comparison."""
    row: Array = _neurons(here)[:, _neuron_top(here, at)].copy()
    row[here.ids == here.ids[at]] = -np.inf
    return row
