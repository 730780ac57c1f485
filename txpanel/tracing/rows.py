"""Tensors of a text that grows: one more token writes one more row, and copies nothing.

The runs of a text and of its continuations share their leading rows. So the residual streams, and keys and values, stand in
buffers with room behind the rows in use, and each run holds a view of the rows that are its own: n runs of T tokens hold T
rows, not n times T. Rows that a run can see are never written again; only rows behind the last one in use are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

SPARE = 64
"""Rows of room when a text begins to grow; later as many as it has (keys and values: a quarter). Runs from before a move keep
the buffer that was left: when each is twice as long as the one before, all of those together are no longer than the last."""


class Rows:
    """Buffers of some tensors with room along one dimension, of which the first `used` rows are taken."""

    def __init__(self, buffers: list[Tensor], used: int) -> None:
        self._buffers = buffers
        self._used = used

    @classmethod
    def grown(
        cls, old: list[Tensor], rows: Rows | None, new: list[Tensor], dim: int = 0, share: int = 1
    ) -> tuple[Rows, list[Tensor]]:
        """The rows of `old` and those of `new` after them.

        Args:
            old: tensors with `done` rows along `dim`, leading rows of an earlier run. rows: the buffers they stand in, if
                they do. new: those that follow, n rows. share: room for length / share rows when they move.

        Returns:
            The buffers, and the tensors with done + n rows as views of them.
        """
        done, fresh = old[0].shape[dim], new[0].shape[dim]
        length = done + fresh
        with_room = rows is not None and rows._used == done and rows._buffers[0].shape[dim] >= length
        if rows is None or not with_room:  # a first step, a branch, or no room left: the rows move
            room = length + max(SPARE, length // share)
            rows = cls([_roomy(tensor, room, dim) for tensor in old], done)
        for buffer, tensor in zip(rows._buffers, new, strict=True):
            buffer.narrow(dim, done, fresh).copy_(tensor)
        rows._used = length
        return rows, [buffer.narrow(dim, 0, length) for buffer in rows._buffers]


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer's keys and values [1, heads, T, d] with room: transformers' own copies all of them for each new token."""

    rows: Rows | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """As the original: appends keys and values, and gives back all of them."""
        if not self.get_seq_length():
            found: tuple[Tensor, Tensor] = super().update(key_states, value_states, *args, **kwargs)
            return found
        assert self.keys is not None
        assert self.values is not None
        fresh = [key_states, value_states]
        self.rows, (keys, values) = Rows.grown([self.keys, self.values], self.rows, fresh, -2, share=4)
        self.keys, self.values = keys, values
        return keys, values

    def __copy__(self) -> RoomyLayer:
        """The same tensors; whichever of the two grows first goes on in the buffer, the other moves."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other


def roomy_cache() -> DynamicCache:
    """An empty cache whose layers grow in place."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = RoomyLayer
    return cache


def _roomy(tensor: Tensor, room: int, dim: int) -> Tensor:
    """A buffer for `room` rows along `dim` that begins with those of `tensor`."""
    shape = list(tensor.shape)
    shape[dim] = room
    buffer = tensor.new_empty(shape)
    buffer.narrow(dim, 0, tensor.shape[dim]).copy_(tensor)
    return buffer
