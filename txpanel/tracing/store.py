"""Cache of replayed and derived tensors: one for all traces of the process, bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from torch import Tensor

LIMIT = 768 * 1024**2
"""Bytes of replayed tensors that the process keeps."""


class Store:
    """Tensors by (uid of the trace, tensor name); the least recently used are dropped first. Thread-safe."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.nbytes = limit, 0
        self._items: OrderedDict[tuple[int, str], Tensor] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, trace: int, name: str) -> Tensor | None:
        """The tensor; ``None`` if it was never put or was dropped."""
        with self._lock:
            found = self._items.get((trace, name))
            if found is not None:
                self._items.move_to_end((trace, name))
            return found

    def put(self, trace: int, name: str, tensor: Tensor) -> Tensor:
        """Keep a tensor; the least recently used are dropped above the limit (never the one just put)."""
        size = tensor.numel() * tensor.element_size()
        with self._lock:
            if (trace, name) not in self._items:
                self.nbytes += size
            self._items[trace, name] = tensor
            self._items.move_to_end((trace, name))
            while self.nbytes > self.limit and len(self._items) > 1:
                _, gone = self._items.popitem(last=False)
                self.nbytes -= gone.numel() * gone.element_size()
        return tensor

    def forget(self, trace: int) -> None:
        """Drop everything of one trace."""
        with self._lock:
            for key in [key for key in self._items if key[0] == trace]:
                gone = self._items.pop(key)
                self.nbytes -= gone.numel() * gone.element_size()

    def held(self, trace: int) -> int:
        """Bytes kept for one trace."""
        with self._lock:
            return sum(t.numel() * t.element_size() for (owner, _), t in self._items.items() if owner == trace)


STORE = Store()
