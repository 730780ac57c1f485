"""Counts the bytes behind :mod:`txpanel.models.memory`: which entries hold which storages, when each was used, which are on a screen; drops the oldest."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from txpanel.messages import _
from txpanel.models.progress import size_text

__all__ = ["Entry", "Memory", "Sizes"]

log = logging.getLogger(__name__)

ROOM = 0.95
"""Above the cap, entries are dropped down to this share of it, so that not every new value causes another clearing."""

Sizes = Mapping[Hashable, int]
"""Bytes of each storage, by an id of the storage."""


@dataclass(eq=False, slots=True)
class Entry:
    """One thing that is kept.

    Attributes:
        store: number of its store. owner: number of the run that it belongs to; None: it belongs to no single run.
        sizes: bytes of its storages. used: count of the last use (a larger count is later).
    """

    store: int
    key: Hashable
    value: Any
    owner: Hashable
    sizes: Sizes
    used: int = 0


@dataclass(eq=False)
class Memory:
    """Counts what all stores hold and keeps it below a cap. Thread-safe.

    Args:
        cap: returns the limit in bytes; called whenever something is added.
        reserved: bytes that others take besides, such as the pages of open sessions; at most half of the cap is left to them.
    """

    cap: Callable[[], int]
    reserved: Callable[[], int] = int
    nbytes: int = 0
    """Bytes held now by all stores and screens, shared storages counted once."""
    dropped: int = 0
    """Bytes that were dropped so far."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _names: dict[int, str] = field(default_factory=dict)
    _entries: dict[int, OrderedDict[Hashable, Entry]] = field(default_factory=dict)
    _owned: dict[Hashable, set[Entry]] = field(default_factory=dict)
    _holders: dict[Hashable, list[int]] = field(default_factory=dict)  # storage -> entries that hold it, bytes
    _screens: dict[Hashable, Entry] = field(default_factory=dict)
    _on_screen: Counter[Hashable] = field(default_factory=Counter)  # runs and storages -> screens
    _pending: deque[Callable[[], list[Entry]]] = field(default_factory=deque)
    _clock: itertools.count[int] = field(default_factory=itertools.count)
    _warned: bool = False

    # -- what stores ask -------------------------------------------------------------------------------------------------------

    def register(self, store: object, name: str) -> int:
        """The number of a new store. Its entries are dropped when the store object is freed."""
        number = next(self._clock)
        with self._lock:
            self._names[number], self._entries[number] = name, OrderedDict()
        weakref.finalize(store, self._defer, lambda: self._close(number)).atexit = False
        return number

    def get(self, store: int, key: Hashable, *, touch: bool = True) -> Entry | None:
        """An entry, which counts as used now."""
        with self._lock:
            found = self._entries[store].get(key)
            if found is not None and touch:
                self._entries[store].move_to_end(key)
                found.used = next(self._clock)
        self._run_pending()
        return found

    def put(self, store: int, key: Hashable, value: Any, sizes: Sizes, owner: Hashable) -> None:
        """Keep a value; above the cap others are dropped, never this one."""
        gone: list[Entry] = []
        with self._lock:
            entry = Entry(store, key, value, owner, sizes, next(self._clock))
            before = self._entries[store].get(key)
            self._hold(entry)
            if before is not None:
                gone.append(self._remove(before))
            self._entries[store][key] = entry
            if owner is not None:
                self._owned.setdefault(owner, set()).add(entry)
            gone += self._fit(entry)
        self._run_pending()
        del gone  # what is freed by this is freed outside the lock

    def pop(self, store: int, key: Hashable) -> Entry | None:
        """Remove an entry and return it; ``None`` if there is none."""
        with self._lock:
            found = self._entries[store].get(key)
            if found is not None:
                self._remove(found)
        self._run_pending()
        return found

    def of_store(self, store: int) -> list[Entry]:
        """All entries of a store, the least recently used first."""
        with self._lock:
            return list(self._entries[store].values())

    def of_owner(self, owner: Hashable) -> list[Entry]:
        """All entries that belong to a run."""
        with self._lock:
            return list(self._owned.get(owner, ()))

    def forget(self, owner: Hashable) -> None:
        """Drop all entries of a run. Never waits for the lock, so it may be called from a finaliser, in any thread."""
        self._defer(lambda: [self._remove(entry) for entry in list(self._owned.get(owner, ()))])

    def recount(self, entry: Entry, sizes: Sizes) -> None:
        """Count an entry again after its value has grown or shrunk."""
        gone: list[Entry] = []
        with self._lock:
            if entry.store in self._entries and self._entries[entry.store].get(entry.key) is entry:
                self._hold(Entry(entry.store, entry.key, None, None, sizes))
                self._release(entry)
                entry.sizes = sizes
                gone = self._fit(entry)
        self._run_pending()
        del gone

    # -- screens -------------------------------------------------------------------------------------------------------------

    def show(self, screen: Hashable, value: Any, *, owner: Hashable, sizes: Sizes) -> None:
        """A screen shows a run from now on.

        Args:
            screen: id of the screen. value: the run, held until the screen shows another one. owner: its number. sizes: bytes of its storages.
        """
        with self._lock:
            before = self._leave_now(screen)
            self._screens[screen] = entry = Entry(-1, screen, value, owner, sizes)
            self._hold(entry)
            self._on_screen.update([owner, *entry.sizes])
        self._run_pending()
        del before

    def leave(self, screen: Hashable) -> None:
        """A screen shows no run any more. Never waits, as `forget`."""
        self._defer(lambda: self._leave_now(screen))

    def shown(self, entry: Entry) -> bool:
        """Whether an entry belongs to a run that is on a screen."""
        return (entry.owner is not None and entry.owner in self._on_screen) or any(
            name in self._on_screen for name in entry.sizes
        )

    # -- what others ask -----------------------------------------------------------------------------------------------------

    def held(self) -> dict[str, int]:
        """Bytes by name of store. What several stores share is counted for the first; what only screens hold is `screens`."""
        with self._lock:
            found = dict.fromkeys(self._names.values(), 0)
            named = [(self._names[number], list(kept.values())) for number, kept in self._entries.items()]
            named.append(("screens", list(self._screens.values())))
        seen: set[Hashable] = set()
        for name, entries in named:
            for entry in entries:
                for storage, size in entry.sizes.items():
                    if storage not in seen:
                        seen.add(storage)
                        found[name] = found.get(name, 0) + size
        return found

    def clear(self) -> None:
        """Drop everything except what is on a screen."""
        with self._lock:
            every = [entry for kept in self._entries.values() for entry in kept.values() if not self.shown(entry)]
            gone = [self._remove(entry) for entry in every]
        self._run_pending()
        del gone, every

    # -- inside, under the lock ------------------------------------------------------------------------------------------------

    def _hold(self, entry: Entry) -> None:
        for storage, size in entry.sizes.items():
            known = self._holders.setdefault(storage, [0, size])
            known[0] += 1
            if known[0] == 1:
                self.nbytes += size

    def _release(self, entry: Entry) -> None:
        for storage in entry.sizes:
            known = self._holders[storage]
            known[0] -= 1
            if known[0] == 0:
                del self._holders[storage]
                self.nbytes -= known[1]
                self.dropped += known[1]

    def _remove(self, entry: Entry) -> Entry:
        kept = self._entries.get(entry.store, OrderedDict())
        if kept.get(entry.key) is entry:
            del kept[entry.key]
        self._release(entry)
        if entry.owner is not None and entry.owner in self._owned:
            self._owned[entry.owner].discard(entry)
            if not self._owned[entry.owner]:
                del self._owned[entry.owner]
        return entry

    def _leave_now(self, screen: Hashable) -> list[Entry]:
        before = self._screens.pop(screen, None)
        if before is None:
            return []
        self._release(before)
        names = [before.owner, *before.sizes]
        self._on_screen.subtract(names)
        for name in names:
            if self._on_screen[name] <= 0:
                del self._on_screen[name]
        return [before]

    def _close(self, store: int) -> list[Entry]:
        gone = [self._remove(entry) for entry in list(self._entries.get(store, {}).values())]
        self._entries.pop(store, None)
        self._names.pop(store, None)
        return gone

    def _fit(self, fresh: Entry) -> list[Entry]:
        limit = self.cap()
        limit -= min(self.reserved(), limit // 2)
        gone: list[Entry] = []
        if self.nbytes <= limit:
            return gone
        oldest = list(heapq.merge(*(list(kept.values()) for kept in self._entries.values()), key=lambda e: e.used))
        for on_screen in (False, True):
            for entry in oldest:
                if self.nbytes <= ROOM * limit:
                    return gone
                if entry is fresh or self.shown(entry) != on_screen or (on_screen and not self._frees(entry)):
                    continue
                gone.append(self._remove(entry))
        if self.nbytes > limit and self._screens and not self._warned:
            self._warned = True
            text = _("The open pages alone need {held}, more than TXPANEL_MEMORY_MB allows ({cap}).")
            log.warning(text.format(held=size_text(self.nbytes), cap=size_text(limit)))
        return gone

    def _frees(self, entry: Entry) -> bool:
        """Whether dropping it frees any bytes: storages that a run on a screen shares stay."""
        return any(self._holders[storage][0] == 1 for storage in entry.sizes)

    # -- work from finalisers, which must not wait -----------------------------------------------------------------------------------

    def _defer(self, work: Callable[[], list[Entry]]) -> None:
        """Do something under the lock: now, or, if the lock is held, when it is released."""
        self._pending.append(work)
        self._run_pending()

    def _run_pending(self) -> None:
        while self._pending and self._lock.acquire(blocking=False):
            gone: list[Entry] = []
            try:
                while self._pending:
                    gone += self._pending.popleft()()
            finally:
                self._lock.release()
            del gone
