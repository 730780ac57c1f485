"""Tensors that grow with the text: one more token writes one more row, and copies nothing.

The runs of a text and of its continuations share their leading rows. So residual streams, keys and values are stored in buffers with
spare rows at their end, and each run holds a view of the rows that belong to it: n runs of up to T tokens hold T rows, not n times T.
Rows that belong to a run are never overwritten; only spare ones are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

SPARE = 64
"""Spare rows of a first buffer. A later one has as many as it has rows in use (for keys and values: a quarter). Earlier runs keep the
buffer from before; since each is at least a constant factor longer than the one before, all together stay linear in the text."""


class Rows:
    """Buffers with spare rows along one dimension; the first `used` rows are in use."""

    def __init__(self, buffers: list[Tensor], used: int) -> None:
        self._buffers = buffers
        self._used = used

    @classmethod
    def grown(
        cls, old: list[Tensor], rows: Rows | None, new: list[Tensor], dim: int = 0, share: int = 1
    ) -> tuple[Rows, list[Tensor]]:
        """Append rows: in place if there are spare ones, else in new buffers.

        Args:
            old: tensors with `done` rows along `dim`, leading rows of an earlier run. rows: the buffers they stand in, if
                they do. new: those that follow, n rows. share: a new buffer gets length / share spare rows.

        Returns:
            The buffers, and the tensors with done + n rows as views of them.
        """
        done, fresh = old[0].shape[dim], new[0].shape[dim]
        length = done + fresh
        with_room = rows is not None and rows._used == done and rows._buffers[0].shape[dim] >= length
        if rows is None or not with_room:  # a first step, a branch, or no spare rows left: new buffers
            room = length + max(SPARE, length // share)
            rows = cls([_roomy(tensor, room, dim) for tensor in old], done)
        for buffer, tensor in zip(rows._buffers, new, strict=True):
            buffer.narrow(dim, done, fresh).copy_(tensor)
        rows._used = length
        return rows, [buffer.narrow(dim, 0, length) for buffer in rows._buffers]


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer's keys and values [1, heads, T, d] in buffers with spare rows: transformers' own copies all of them for each new token."""

    rows: Rows | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values, and return all of them; as in `DynamicLayer`."""
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
        """The same tensors. Whichever of the two grows first continues in the buffer, the other gets a new one."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other


def roomy_cache() -> DynamicCache:
    """An empty cache whose layers grow in place."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = RoomyLayer
    return cache


def _roomy(tensor: Tensor, room: int, dim: int) -> Tensor:
    """A buffer with `room` rows along `dim`, the first of them those of `tensor`."""
    shape = list(tensor.shape)
    shape[dim] = room
    buffer = tensor.new_empty(shape)
    buffer.narrow(dim, 0, tensor.shape[dim]).copy_(tensor)
    return buffer
