"""Keys and values of recent runs: what a text shares with one of them is not computed again.

A text that grows continues the run before it. An edit in the middle, or another branch, starts from a copy of the run with which it
shares most tokens, cut to those tokens; the original stays, so one can go back and forth between branches. Rows that a run uses are
never overwritten (:mod:`txpanel.tracing.rows`), so such a copy is a view and costs nothing.

All of this is valid only as long as the model stays the same. That is checked first (:mod:`txpanel.models.changed`); besides, the last token
of the prefix is computed again in the pass that continues it, and its streams in all blocks, its keys and its values must be the kept ones
(`differs`). Where the angles of positions follow the length of the text (LongRoPE, dynamic NTK), those of the pass must be the kept ones, too.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from txpanel.models import memory
from txpanel.models.memory import storages
from txpanel.tracing.rows import RoomyLayer, Rows

if TYPE_CHECKING:
    from txpanel.tracing.written import Written

BRANCHES = 64
"""Runs that are kept per model, if the cap of :mod:`txpanel.models.memory` has room for them; the least recently used is dropped first."""

LONG = 256
"""From so many new tokens on, `worth_it` decides whether to continue."""


@dataclass(eq=False)
class Prefix:
    """A run that can be continued.

    Attributes:
        ids: its T tokens. cache: their keys and values.
        streams: its residual streams, n_layers + 1 tensors [T, D]. rows: the buffers that these are views of, if they are.
        key: of the model's state when it was recorded. angles: of the rotary embeddings whose angles follow the length of the text.
        written: norms of what its blocks add, if they were measured.
    """

    ids: list[int]
    cache: DynamicCache
    streams: list[Tensor]
    rows: Rows | None
    key: str = ""
    angles: list[Tensor] = field(default_factory=list)
    written: Written | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its storages, with the spare rows of their buffers."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[Hashable, int]:
        """Bytes of each storage: the run itself has the streams, too."""
        norms = [self.written.values] if self.written is not None else []
        return storages([*self.streams, *_tensors(self.cache), *norms])

    def cut(self, length: int) -> Prefix:
        """Its first `length` tokens as a run of their own; this one is not changed."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        if length < len(self.ids):
            cache.crop(length - len(self.ids))  # negative: how many tokens to drop
            return replace(
                self,
                ids=self.ids[:length],
                cache=cache,
                streams=[stream[:length] for stream in self.streams],
                written=self.written.cut(length) if self.written is not None else None,
            )
        return replace(self, cache=cache)

    def computing_again(self) -> bool:
        """Have the next pass compute the last token again; False where its cache can't do that."""
        layers: list[Any] = self.cache.layers
        if not layers or not all(isinstance(layer, RoomyLayer) for layer in layers):
            return False
        for layer in layers:
            layer.again = 1
        return True

    def differs(self, streams: list[Tensor]) -> bool:
        """Whether the last token, computed again, is another than before: the prefix is not of this model.

        Args:
            streams: as computed again, n_layers + 1 tensors [1, D].
        """
        again = [(row[0], kept[len(self.ids) - 1]) for row, kept in zip(streams, self.streams, strict=True)]
        at = len(self.ids) - 1
        layers: list[Any] = self.cache.layers
        for layer in layers:
            for new, kept in zip(layer.computed or (), (layer.keys, layer.values), strict=False):
                again.append((new[0, :, 0].flatten(), kept[0, :, at].flatten()))
            layer.computed = None
        by_size: dict[int, list[tuple[Tensor, Tensor]]] = {}
        for new, kept in again:
            by_size.setdefault(len(new), []).append((new, kept))
        return any(_far(pairs) for pairs in by_size.values())


class Prefixes:
    """The runs of one model that can be continued; used under the model's lock, while others may drop some of them to make room."""

    def __init__(self, counted: memory.Memory | None = None) -> None:
        self._store: memory.Store[int, Prefix] = memory.Store("prefixes", Prefix.sizes, most=BRANCHES, memory=counted)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def nbytes(self) -> int:
        """Bytes held; what branches share is counted once."""
        return self._store.nbytes

    def longest(self, ids: list[int], key: str = "") -> Prefix | None:
        """A cut of the run that shares most leading tokens with `ids`, at least one token short of them; None: nothing shared.

        Args:
            key: of the model's state; runs of other states are not of this model.
        """
        kept = [prefix for prefix in self._store.values() if prefix.key == key]
        for prefix in kept[-1:]:  # nearly always: the last text and one more token
            if len(prefix.ids) == len(ids) - 1 and ids[:-1] == prefix.ids:
                return prefix.cut(len(prefix.ids))
        shared = {i: min(_common(prefix.ids, ids), len(ids) - 1) for i, prefix in enumerate(kept)}
        best = max(shared, key=lambda i: (shared[i], i), default=None)
        if best is None or not worth_it(shared[best], len(ids)):
            return None
        self._store.get(id(kept[best]))  # used now
        return kept[best].cut(shared[best])

    def holding(self, ids: list[int], key: str | None = None) -> Prefix | None:
        """A cut to exactly these tokens, if a run that begins with them is kept (``key``: of a model in this state)."""
        kept = [prefix for prefix in self._store.values() if key is None or prefix.key == key]
        found = next((prefix for prefix in reversed(kept) if prefix.ids[: len(ids)] == ids), None)
        return found.cut(len(ids)) if found is not None else None

    def keep(self, prefix: Prefix) -> None:
        """Keep a run in place of those that it continues, unless a longer one holds it already."""
        kept = [other for other in self._store.values() if other.key == prefix.key]
        if any(other.ids[: len(prefix.ids)] == prefix.ids for other in kept):
            return
        for other in kept:
            if prefix.ids[: len(other.ids)] == other.ids:
                self._store.pop(id(other))
        self._store.put(id(prefix), prefix)

    def forget(self, key: str) -> None:
        """Drop the runs of one state of the model."""
        for prefix in self._store.values():
            if prefix.key == key:
                self._store.pop(id(prefix))

    def clear(self) -> None:
        """Drop all runs."""
        self._store.clear()


def worth_it(shared: int, tokens: int) -> bool:
    """Whether continuing a run of ``shared`` tokens is faster than running the whole text.

    Many tokens after few others need a mask of their own, where a whole text has its kernel's, and all keys and values are copied: such a
    run costs up to 1.3 times the whole text's (2,048 tokens, 1 to 256 of them shared).
    """
    return shared > 0 and (tokens - shared < LONG or shared * 3 > tokens)


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of keys and values of the tokens held."""
    return sum(t.numel() * t.element_size() for t in _tensors(cache))


def _tensors(cache: DynamicCache) -> list[Tensor]:
    found = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    return [t for t in found if t is not None]


def __getattr__(name: str) -> Any:
    return memory.replaced_limit(__name__, name)


TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
"""How far a token computed again may be from the kept one, as a share of the vector's size: passes of other lengths add in another order.
Half precision: 0.05."""


def _far(pairs: list[tuple[Tensor, Tensor]]) -> bool:
    new, kept = (torch.stack(rows) for rows in zip(*pairs, strict=True))  # each [n, size]
    return beyond_rounding(new, kept)


def beyond_rounding(new: Tensor, kept: Tensor) -> bool:
    """Whether any row [size] is another than before by more than passes of other lengths explain."""
    size = kept.float().pow(2).mean(-1).sqrt()
    off = (new.float() - kept.float()).pow(2).mean(-1).sqrt()
    return not bool((off <= TOLERANCE.get(kept.dtype, 0.05) * size + 1e-30).all())


def _common(a: list[int], b: list[int]) -> int:
    """How many leading tokens two texts share."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
