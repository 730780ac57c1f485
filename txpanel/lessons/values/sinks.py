"""Values of heads that rest on the first token: much of a query's weight, little of what it collects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from txpanel.errors import Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.attention import every_head
from txpanel.lessons.values.declared import value
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace

LEAST = 0.005
"""By less nobody could tell a weight from a share."""

_sinks: WeakKeyDictionary[Trace, dict[int, tuple[int, int] | None]] = WeakKeyDictionary()
"""Of runs and their queries: all blocks have to be looked into."""


def _known(here: Situation, query: int) -> bool:
    return query in _sinks.get(here.trace, {})


@value("sink.block", "ordinal", "place", known=_known)
def _sink_block(here: Situation, query: int) -> int:
    """Block of the head in which a query's weight on the first token exceeds that token's share of z most, or, where it never does, falls short most."""
    return _sink(here, query)[0]


@value("sink.head", "ordinal", "place", known=_known)
def _sink_head(here: Situation, query: int) -> int:
    """The head itself, in its block."""
    return _sink(here, query)[1]


def _sink(here: Situation, query: int) -> tuple[int, int]:
    found = _sinks.setdefault(here.trace, {})
    if query not in found:
        found[query] = _looked_for(here.trace, query)
    best = found[query]
    if best is None:
        raise Unsupported(_("No block of this model has an attention that is opened."))
    return best


def _looked_for(trace: Trace, query: int) -> tuple[int, int] | None:
    exceeds: dict[tuple[int, int], float] = {}
    for layer, head, weights, brought in every_head(trace, query):
        if (total := float(brought.sum())) > 0:
            exceeds[layer, head] = float(weights[0]) - float(brought[0]) / total
    if max(exceeds.values(), default=0.0) < LEAST:
        exceeds = {head: -by for head, by in exceeds.items()}
    return max(exceeds, key=lambda head: exceeds[head], default=None)
