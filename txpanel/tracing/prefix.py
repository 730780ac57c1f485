"""Keys and values of recent runs: what a text shares with one of them is not computed again.

A text that grows continues the run before it. An edit in the middle, or another branch, starts from a copy of the run with which it
shares most tokens, cut to those tokens; the original stays, so one can go back and forth between branches. Rows that a run uses are
never overwritten (:mod:`txpanel.tracing.rows`), so such a copy is a view and costs nothing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor
from transformers.cache_utils import DynamicCache

from txpanel.tracing.rows import Rows

LIMIT = 512 * 1024**2
"""Bytes of keys, values and streams that are kept per model."""
BRANCHES = 8
"""Runs that are kept per model; the least recently used is dropped first."""


@dataclass(eq=False)
class Prefix:
    """A run that can be continued.

    Attributes:
        ids: its T tokens. cache: their keys and values.
        streams: its residual streams, n_layers + 1 tensors [T, D]. rows: the buffers that these are views of, if they are.
    """

    ids: list[int]
    cache: DynamicCache
    streams: list[Tensor]
    rows: Rows | None

    @cached_property
    def nbytes(self) -> int:
        """Bytes of keys, values and streams, without the spare rows of their buffers."""
        return cache_bytes(self.cache) + sum(stream.numel() * stream.element_size() for stream in self.streams)

    def cut(self, length: int) -> Prefix:
        """Its first `length` tokens as a run of their own; this one is not changed."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        if length < len(self.ids):
            cache.crop(length - len(self.ids))  # negative: how many tokens to drop
            return Prefix(self.ids[:length], cache, [stream[:length] for stream in self.streams], self.rows)
        return Prefix(self.ids, cache, self.streams, self.rows)


class Prefixes:
    """The runs of one model that can be continued; used under the model's lock."""

    def __init__(self) -> None:
        self._kept: list[Prefix] = []  # most recently used last

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes held; what branches share is counted for each."""
        return sum(prefix.nbytes for prefix in self._kept)

    def longest(self, ids: list[int]) -> Prefix | None:
        """A cut of the run that shares most leading tokens with `ids`, at least one token short of them; None: nothing shared."""
        for prefix in self._kept[-1:]:  # nearly always: the last text and one more token
            if len(prefix.ids) == len(ids) - 1 and ids[:-1] == prefix.ids:
                return prefix.cut(len(prefix.ids))
        shared = {i: min(_common(prefix.ids, ids), len(ids) - 1) for i, prefix in enumerate(self._kept)}
        best = max(shared, key=lambda i: (shared[i], i), default=None)
        if best is None or shared[best] <= 0:
            return None
        found = self._kept.pop(best)
        self._kept.append(found)
        return found.cut(shared[best])

    def holding(self, ids: list[int]) -> Prefix | None:
        """A cut to exactly these tokens, if a run that begins with them is kept."""
        found = next((prefix for prefix in reversed(self._kept) if prefix.ids[: len(ids)] == ids), None)
        return found.cut(len(ids)) if found is not None else None

    def keep(self, prefix: Prefix) -> None:
        """Keep a run in place of those that it continues, unless a longer one holds it already."""
        if any(other.ids[: len(prefix.ids)] == prefix.ids for other in self._kept):
            return
        self._kept = [other for other in self._kept if prefix.ids[: len(other.ids)] != other.ids]
        self._kept.append(prefix)
        while self._kept and (len(self._kept) > BRANCHES or self.nbytes > LIMIT):
            self._kept.pop(0)

    def clear(self) -> None:
        """Let everything go."""
        self._kept.clear()


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of keys and values of the tokens held."""
    return sum(
        t.numel() * t.element_size()
        for layer in cache.layers
        for t in (getattr(layer, "keys", None), getattr(layer, "values", None))
        if t is not None
    )


def _common(a: list[int], b: list[int]) -> int:
    """How many leading tokens two texts share."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
