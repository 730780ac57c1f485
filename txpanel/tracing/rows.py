"""The residual streams of a text that grows: one more token writes one more row, and copies nothing.

The runs of a text and of its continuations share their leading rows. So the streams stand in buffers with room behind
the rows in use, and each run holds a view of the rows that are its own: n runs of T tokens hold T rows, not n times T.
Rows that a run can see are never written again; only rows behind the last one in use are.
"""

from __future__ import annotations

from torch import Tensor

SPARE = 64
"""Rows of room when a text begins to grow; later as many as it has. Runs from before a move keep the buffer that was left:
when each is twice as long as the one before, all of those together are no longer than the last."""


class Rows:
    """Buffers of some streams, [capacity, D] each, of which the first `used` rows are taken."""

    def __init__(self, buffers: list[Tensor], used: int) -> None:
        self._buffers = buffers
        self._used = used

    @classmethod
    def grown(cls, old: list[Tensor], rows: Rows | None, new: list[Tensor]) -> tuple[Rows, list[Tensor]]:
        """The rows of `old` and those of `new` after them.

        Args:
            old: streams [done, D], leading rows of an earlier run. rows: the buffers they stand in, if they do.
            new: streams [n, D] that follow.

        Returns:
            The buffers, and the streams [done + n, D] as views of them.
        """
        done, length = len(old[0]), len(old[0]) + len(new[0])
        with_room = rows is not None and rows._used == done and len(rows._buffers[0]) >= length
        if rows is None or not with_room:  # a first step, a branch, or no room left: the rows move
            rows = cls([_roomy(stream, length) for stream in old], done)
        for buffer, stream in zip(rows._buffers, new, strict=True):
            buffer[done:length] = stream
        rows._used = length
        return rows, [buffer[:length] for buffer in rows._buffers]


def _roomy(stream: Tensor, length: int) -> Tensor:
    """A buffer that begins with the rows of `stream` and has room beyond `length`."""
    buffer = stream.new_empty(length + max(SPARE, length), *stream.shape[1:])
    buffer[: len(stream)] = stream
    return buffer
