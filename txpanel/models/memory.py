"""One cap for everything that is kept besides the weights: runs, replayed blocks, prefixes, explanations, streams of views.

Whatever is kept so that it need not be computed again is in a `Store`, and all stores count together. Where their bytes exceed the cap
(:func:`cap`), the least recently used goes first, from whichever store; what belongs to a run that is on a screen goes last,
and the run itself stays. Storages that several entries share (the runs of a growing text, and the prefix that
the next one starts from) are counted once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from txpanel.models import machine
from txpanel.models.environment import memory_said
from txpanel.models.memory_accounting import Memory, Sizes

__all__ = ["MEMORY", "Memory", "Store", "cap", "held", "replaced_limit", "storages"]

USUAL = 1_000_000_000
"""The default cap in bytes; but never more than `SHARE` of the machine's memory."""
SHARE = 0.25

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def cap() -> int:
    """Bytes that may be kept besides the weights: ``TXPANEL_MEMORY_MB``, or what is usual for a machine of this size."""
    given = memory_said()
    return given if given is not None else min(USUAL, int(SHARE * machine.total()))


def storages(tensors: Iterable[Any]) -> dict[Hashable, int]:
    """Bytes of the distinct storages behind torch tensors, by device and address."""
    found: dict[Hashable, int] = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        found[str(tensor.device), storage.data_ptr()] = storage.nbytes()
    return found


class Store(Generic[K, V]):
    """Values by key that are kept while there is room for them, the least recently used dropped first.

    Args:
        name: under which `held` reports its bytes; several stores may have the same.
        measure: returns the bytes of a value, or those of each of its storages.
        most: number of values at most; None: as many as there is room for. memory: counts their bytes; by default that of the process.
    """

    def __init__(
        self, name: str, measure: Callable[[V], int | Sizes], *, most: int | None = None, memory: Memory | None = None
    ) -> None:
        self.name, self.most = name, most
        self.memory = memory if memory is not None else MEMORY
        self._measure = measure
        self._number = self.memory.register(self, name)

    def __len__(self) -> int:
        return len(self.memory.of_store(self._number))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Hashable) and self.memory.get(self._number, key, touch=False) is not None

    @property
    def nbytes(self) -> int:
        """Bytes that it holds, what its values share counted once."""
        sizes: dict[Hashable, int] = {}
        for entry in self.memory.of_store(self._number):
            sizes.update(entry.sizes)
        return sum(sizes.values())

    def get(self, key: K) -> V | None:
        """The value; None if it was never put or was dropped."""
        found = self.memory.get(self._number, key)
        return found.value if found is not None else None

    def put(self, key: K, value: V, owner: Hashable = None) -> V:
        """Keep a value; returns it.

        Args:
            owner: number of the run that it belongs to, by which it is forgotten with the run and stays while that is on a screen.
        """
        self.memory.put(self._number, key, value, self._sizes(value), owner)
        if self.most is not None:
            for entry in self.memory.of_store(self._number)[: -self.most]:
                self.memory.pop(self._number, entry.key)
        return value

    def recount(self, owner: Hashable) -> None:
        """The values of a run have grown: their bytes are counted again."""
        for entry in self.memory.of_owner(owner):
            if entry.store == self._number:
                self.memory.recount(entry, self._sizes(entry.value))

    def pop(self, key: K) -> None:
        """Remove a value; nothing happens if it is not there."""
        self.memory.pop(self._number, key)

    def values(self) -> list[V]:
        """All of them, the least recently used first."""
        return [entry.value for entry in self.memory.of_store(self._number)]

    def held(self, owner: Hashable) -> int:
        """Bytes kept for one run."""
        sizes: dict[Hashable, int] = {}
        for entry in self.memory.of_owner(owner):
            if entry.store == self._number:
                sizes.update(entry.sizes)
        return sum(sizes.values())

    def clear(self) -> None:
        """Remove all of them."""
        for entry in self.memory.of_store(self._number):
            self.memory.pop(self._number, entry.key)

    def _sizes(self, value: V) -> Sizes:
        found = self._measure(value)
        return {object(): found} if isinstance(found, int) else found


MEMORY = Memory(cap)
"""The one of this process."""


def held() -> dict[str, int]:
    """Bytes that this process keeps besides the weights, by name of store."""
    return MEMORY.held()


def replaced_limit(module: str, name: str) -> int:
    """For a module that had a limit of its own, ``LIMIT``: the cap that has taken its place, with a warning.

    Raises:
        AttributeError: something else was asked for.
    """
    if name != "LIMIT":
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    text = (
        f"{module}.LIMIT is replaced: TXPANEL_MEMORY_MB is one cap for all that is kept (txpanel.models.memory.cap())."
    )
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return cap()
