"""Values of the head that one looks at: weights, scores, what can be seen, and what the values bring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from txpanel.errors import Cancelled, TxpanelError, Unsupported
from txpanel.lessons.situation import Array, Situation
from txpanel.lessons.values.comparing import CLEAR
from txpanel.lessons.values.declared import value
from txpanel.messages import _
from txpanel.models.turns import stop_if_unwanted

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace


@value("weight", "share", "place", "place")
def _weight(here: Situation, query: int, key: int) -> float:
    """Attention weight of a query on a key."""
    return float(here.pattern[query, key])


@value("score", "number", "place", "place")
def _score(here: Situation, query: int, key: int) -> float:
    """Attention score, before the mask."""
    return float(here.scores[query, key])


@value("row.sum", "share", "place")
def _row_sum(here: Situation, query: int) -> float:
    """Sum of a query's attention weights."""
    return round(float(here.pattern[query].astype(np.float64).sum()), 5)  # what float32 rounds is no news


@value("row.open", "count", "place")
def _row_open(here: Situation, query: int) -> int:
    """How many tokens a query can attend to."""
    return int(here.allowed[query].sum())


@value("row.masked", "count", "place")
def _row_masked(here: Situation, query: int) -> int:
    """Tokens that a query cannot attend to."""
    return int((~here.allowed[query]).sum())


@value("strongest", "place", "place")
def _strongest(here: Situation, query: int) -> int:
    """The key with the largest attention weight of a query."""
    return _one_largest(here.pattern[query])


@value("weakest", "place", "place")
def _weakest(here: Situation, query: int) -> int:
    """The key with the smallest attention weight of those that a query can attend to."""
    return _one_largest(np.where(here.allowed[query], -here.pattern[query], -np.inf))


@value("first.mean", "share")
def _first_mean(here: Situation) -> float:
    """Mean attention weight on the first token, of the queries from the third on."""
    return float(here.pattern[2:, 0].mean()) if len(here.ids) > 2 else float(here.pattern[-1, 0])


def _values(here: Situation) -> Array:
    """The chosen head's values [T, dim]: those of its group, where heads share them."""
    return here.tensor("blocks.{l}.v")[here.head // max(1, here.block.group)]


@value("q.norm", "number", "place")
def _q_norm(here: Situation, at: int) -> float:
    """Norm of a query."""
    return float(np.linalg.norm(here.tensor("blocks.{l}.q")[here.head, at]))


@value("rotated.norm", "word", "place")
def _rotated_norm(here: Situation, at: int) -> str:
    """“same” or “changed”: whether a query has the same norm before and after its rotation."""
    before = np.linalg.norm(here.tensor("blocks.{l}.q_pre_rotary")[here.head, at])
    after = np.linalg.norm(here.tensor("blocks.{l}.q")[here.head, at])
    return "same" if np.isclose(before, after, rtol=1e-3) else "changed"


@value("k.norm", "number", "place")
def _k_norm(here: Situation, at: int) -> float:
    """Norm of a key."""
    return float(np.linalg.norm(here.tensor("blocks.{l}.k")[here.head // max(1, here.block.group), at]))


@value("v.norm", "number", "place")
def _v_norm(here: Situation, at: int) -> float:
    """Norm of a value."""
    return float(np.linalg.norm(_values(here)[at]))


@value("v.norm_others", "number", "place")
def _v_norm_others(here: Situation, at: int) -> float:
    """Mean norm of the values of all other tokens."""
    others = np.delete(np.linalg.norm(_values(here), axis=1), at)
    if not others.size:
        raise Unsupported(_("This text has too few tokens for it."))
    return float(others.mean())


@value("z.share", "number", "place", "place")
def _z_share(here: Situation, query: int, key: int) -> float:
    """Norm of what a key brings into z: its weight times the norm of its value."""
    return float(_brought(here, query)[key])


@value("z.largest", "place", "place")
def _z_largest(here: Situation, query: int) -> int:
    """The key that brings most into z, by the norm of weight times value."""
    return _one_largest(_brought(here, query))


@value("z.other", "place", "place")
def _z_other(here: Situation, query: int) -> int:
    """A third key to compare: the longest value of those that are neither of the largest weight nor bring most into z."""
    norms = np.where(here.allowed[query], np.linalg.norm(_values(here), axis=1), -np.inf)
    norms[[_strongest(here, query), _z_largest(here, query)]] = -np.inf
    if not np.isfinite(norms.max()):
        raise Unsupported(_("This text has too few tokens for it."))
    return int(norms.argmax())


@value("z.others", "number", "place", "place")
def _z_others(here: Situation, query: int, key: int) -> float:
    """Sum of the norms of what all other keys bring into z."""
    return float(np.delete(_brought(here, query), key).sum())


@value("z.part", "share", "place", "place")
def _z_part(here: Situation, query: int, key: int) -> float:
    """Norm of what a key brings into z, as a share of the sum over all keys."""
    brought = _brought(here, query)
    return float(brought[key]) / float(brought.sum())


def _brought(here: Situation, query: int) -> Array:
    """Norms of what each key brings into z [T]."""
    found: Array = here.pattern[query] * np.linalg.norm(_values(here), axis=1)
    return found


@value("pair.query", "place")
def _pair_query(here: Situation) -> int:
    """The query of the largest attention weight on a token that is neither itself nor the first one."""
    return _pair(here)[0]


@value("pair.key", "place")
def _pair_key(here: Situation) -> int:
    """The key of that weight."""
    return _pair(here)[1]


def _pair(here: Situation) -> tuple[int, int]:
    weights = np.tril(here.pattern, -1)
    weights[:, 0] = 0
    query, key = np.unravel_index(int(weights.argmax()), weights.shape)
    if not weights[query, key] > 0:
        raise Unsupported(_("This text has too few tokens for it."))
    return int(query), int(key)


@value("z.norm", "number", "place")
def _z_norm(here: Situation, at: int) -> float:
    """Norm of z."""
    return float(np.linalg.norm(here.tensor("blocks.{l}.z")[here.head, at]))


_most_misleading: WeakKeyDictionary[Trace, dict[int, tuple[int, int, int] | None]] = WeakKeyDictionary()
"""By run and query: (layer, head, query) of the most misleading head. Kept, since all blocks have to be searched for it."""


def _known(here: Situation, query: int) -> bool:
    return query in _most_misleading.get(here.trace, {})


@value("misleading.block", "ordinal", "place", known=_known)
def _misleading_block(here: Situation, query: int) -> int:
    """Block of the head that misleads most: not the key of a query's largest weight brings most into z. Without one: the present block."""
    return _misleading(here, query)[0]


@value("misleading.head", "ordinal", "place", known=_known)
def _misleading_head(here: Situation, query: int) -> int:
    """The head itself, in its block."""
    return _misleading(here, query)[1]


@value("misleading.query", "place", "place", known=_known)
def _misleading_query(here: Situation, query: int) -> int:
    """The query itself, or, where no head misleads with it, the last one with which one does."""
    return _misleading(here, query)[2]


def _misleading(here: Situation, query: int) -> tuple[int, int, int]:
    found = _most_misleading.setdefault(here.trace, {})
    if query not in found:
        others = [at for at in range(len(here.ids) - 1, 1, -1) if at != query]
        heads = ((at, _find_misleading(here.trace, at)) for at in (query, *others))
        found[query] = next(((*head, at) for at, head in heads if head is not None), None)
    return found[query] or (here.layer, here.head, query)


def _find_misleading(trace: Trace, query: int) -> tuple[int, int] | None:
    best, clearest = None, CLEAR
    for layer, head, weights, brought in every_head(trace, query):
        clear = _leads(weights, brought)
        if clear > clearest:
            best, clearest = (layer, head), clear
    return best


def every_head(trace: Trace, query: int) -> Iterator[tuple[int, int, Array, Array]]:
    """Block and head, a query's weights and the norms of what each key brings into z, of all heads whose attention is open.

    Raises:
        Cancelled: nobody waits for it any more.
    """
    for layer, block in enumerate(trace.anatomy.blocks):
        if not block.has_attention:
            continue
        stop_if_unwanted()
        try:
            norms = np.linalg.norm(trace.tensor(f"blocks.{layer}.v").numpy(), axis=-1)
            weights = trace.rows(f"blocks.{layer}.pattern", slice(query, query + 1))[:, 0].numpy()
        except Cancelled:
            raise
        except TxpanelError:  # a block whose attention is not open
            continue
        for head, row in enumerate(weights):
            yield layer, head, row, row * norms[head // max(1, block.group)]


def _leads(weights: Array, brought: Array) -> float:
    """By which share of itself the largest of either row leads, the smaller of both; 0 where it is at the same place in both."""
    top, most = int(np.argmax(weights)), int(np.argmax(brought))
    if top == most:
        return 0.0
    seconds = [float(np.delete(row, best).max() / row[best]) for row, best in ((weights, top), (brought, most))]
    return 1 - max(seconds)


def _one_largest(row: Array) -> int:
    """The place of the largest number; refused where a second one comes close."""
    best = int(np.argmax(row))
    others = np.delete(row, best)
    if others.size and not row[best] - others.max() > CLEAR * abs(row[best]):
        raise Unsupported(_("Two tokens share the first place here."))
    return best
