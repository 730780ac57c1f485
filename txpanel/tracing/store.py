"""Cache of replayed and derived tensors: one for all traces of the process, under the cap of :mod:`txpanel.models.memory`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from txpanel.models import memory
from txpanel.models.memory import storages


class Tensors:
    """Tensors by (uid of the trace, tensor name); the least recently used are dropped first. Thread-safe."""

    def __init__(self, counted: memory.Memory | None = None) -> None:
        self._kept: memory.Store[tuple[int, str], Tensor] = memory.Store(
            "replayed", lambda tensor: storages([tensor]), memory=counted
        )

    @property
    def nbytes(self) -> int:
        """Bytes held; what tensors share is counted once."""
        return self._kept.nbytes

    def get(self, trace: int, name: str) -> Tensor | None:
        """The tensor; ``None`` if it was never put or was dropped."""
        return self._kept.get((trace, name))

    def put(self, trace: int, name: str, tensor: Tensor) -> Tensor:
        """Keep a tensor; others are dropped above the cap (never the one just put)."""
        return self._kept.put((trace, name), tensor, owner=trace)

    def forget(self, trace: int) -> None:
        """Drop everything of one trace, which nothing else keeps any more (no screen, no shared run)."""
        self._kept.memory.forget(trace)

    def held(self, trace: int) -> int:
        """Bytes kept for one trace."""
        return self._kept.held(trace)


STORE = Tensors()


def __getattr__(name: str) -> Any:
    return memory.replaced_limit(__name__, name)
