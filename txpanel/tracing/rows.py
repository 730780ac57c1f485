"""Tensors that grow with the text: one more token writes one more row, and copies nothing.

The runs of a text and of its continuations share their leading rows. So residual streams, keys and values are stored in buffers with
spare rows at their end, and each run holds a view of the rows that belong to it: n runs of up to T tokens hold T rows, not n times T.
Rows that belong to a run are never overwritten; only spare ones are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

SPARE = 4
"""A buffer has one spare row for so many rows in use: it is never more than a quarter larger than what it holds. Earlier runs keep the
buffer from before; since each is a constant factor longer than the one before, all together, and all that was copied, stay linear in the
text: at most five times its rows beside the newest buffer. Texts of less than four tokens have no spare row, which costs as little."""


class Rows:
    """Buffers with spare rows along one dimension; the first `used` rows are in use."""

    def __init__(self, buffers: list[Tensor], used: int) -> None:
        self._buffers = buffers
        self._used = used

    @classmethod
    def grown(cls, old: list[Tensor], rows: Rows | None, new: list[Tensor], dim: int = 0) -> tuple[Rows, list[Tensor]]:
        """Append rows: in place if there are spare ones, else in new buffers.

        Args:
            old: tensors with `done` rows along `dim`, leading rows of an earlier run. rows: the buffers they stand in, if
                they do. new: those that follow, n rows.

        Returns:
            The buffers, and the tensors with done + n rows as views of them.
        """
        done, fresh = old[0].shape[dim], new[0].shape[dim]
        length = done + fresh
        with_room = rows is not None and rows._used == done and rows._buffers[0].shape[dim] >= length
        if rows is None or not with_room:  # a first step, a branch, or no spare rows left: new buffers
            rows = cls([_roomy(tensor, length + length // SPARE, dim) for tensor in old], done)
        for buffer, tensor in zip(rows._buffers, new, strict=True):
            buffer.narrow(dim, done, fresh).copy_(tensor)
        rows._used = length
        return rows, [buffer.narrow(dim, 0, length) for buffer in rows._buffers]


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer's keys and values [1, heads, T, d] in buffers with spare rows: transformers' own copies all of them for each new token."""

    rows: Rows | None = None
    again: int = 0  # how many of the last tokens the next pass computes again, to be compared
    computed: tuple[Tensor, Tensor] | None = None  # keys and values of these, as computed again

    def get_seq_length(self) -> int:
        """Tokens held before those that come next."""
        return int(super().get_seq_length()) - self.again

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values, and return all of them; as in `DynamicLayer`."""
        if self.again:  # what is there already stays; only what follows is appended
            self.computed = key_states[..., : self.again, :], value_states[..., : self.again, :]
            key_states, value_states = key_states[..., self.again :, :], value_states[..., self.again :, :]
            self.again = 0
        if not self.get_seq_length():
            found: tuple[Tensor, Tensor] = super().update(key_states, value_states, *args, **kwargs)
            return found
        assert self.keys is not None
        assert self.values is not None
        fresh = [key_states, value_states]
        self.rows, (keys, values) = Rows.grown([self.keys, self.values], self.rows, fresh, -2)
        self.keys, self.values = keys, values
        return keys, values

    def __copy__(self) -> RoomyLayer:
        """The same tensors. Whichever of the two grows first continues in the buffer, the other gets a new one."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other


def roomy_layer() -> RoomyLayer:
    """An empty layer."""
    return RoomyLayer()  # type: ignore[no-untyped-call]


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
