"""What all sessions of a server share: models, and the runs of models.

A run is immutable, so two visitors with the same text look at the same one. Both stores are bounded by bytes: the least
recently used is dropped (a session that still uses it keeps it alive).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from txpanel.errors import Cancelled
from txpanel.messages import _
from txpanel.models.environment import environment
from txpanel.models.language_model import LanguageModel
from txpanel.models.loading import load
from txpanel.models.progress import Progress, ProgressCallback
from txpanel.tracing.record import record
from txpanel.tracing.trace import Trace


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held now."""


S = TypeVar("S", bound=Sized)


class Store(Generic[S]):
    """Values by key, the least recently used dropped when their bytes exceed a limit.

    Args:
        limit: bytes. One value is kept even if it is larger by itself.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._values: OrderedDict[Hashable, S] = OrderedDict()
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nbytes(self) -> int:
        """Bytes held by all values now; storages that runs share are counted once."""
        shared: dict[int, int] = {}
        own = 0
        for value in list(self._values.values()):
            if isinstance(value, Trace):
                shared |= value.storages()
            else:
                own += value.nbytes
        return own + sum(shared.values())

    def get(self, key: Hashable) -> S | None:
        """The value, now the most recently used; None if it is not here."""
        with self._guard:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: S) -> None:
        """Keep a value; drop old ones where the limit asks for it."""
        with self._guard:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > 1 and self.nbytes > self.limit:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Drop everything."""
        with self._guard:
            self._values.clear()


traces: Store[Trace] = Store(environment().trace_bytes)
models: Store[LanguageModel] = Store(environment().model_bytes)


class _Loading:
    """A model that is being loaded: one session loads it, the others wait and get the same progress."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.listeners: list[ProgressCallback] = []

    def tell(self, progress: Progress) -> None:
        for listener in list(self.listeners):
            listener(progress)


_loading: dict[Hashable, _Loading] = {}
_loading_guard = threading.Lock()


def shared_trace(model: LanguageModel, text: str | Sequence[int], options: Hashable = ()) -> Trace:
    """The run of a model on a text or on token ids, recorded once for all sessions.

    Raises:
        EmptyText, TooLong: in words.
    """
    source = text if isinstance(text, str) else tuple(text)
    key = (model.key, source, options)
    found = traces.get(key)
    if found is not None:
        return found
    with model.lock:  # it may have been made while this call waited
        found = traces.get(key)
        if found is None:
            found = record(model, source if isinstance(source, str) else list(source))
            traces.put(key, found)
            if isinstance(source, str):  # found under its token ids as well
                traces.put((model.key, tuple(found.tokens.ids.tolist()), options), found)
        return found


def shared_model(
    name: str,
    *,
    device: str = "cpu",
    dtype: Any = None,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> LanguageModel:
    """A model, loaded once for all sessions; sessions that ask meanwhile wait and get the same progress.

    Args:
        name: as `txpanel.load` takes it.
        device: where it runs.
        dtype: type of its weights; None for float32.
        progress: told how far it is.
        cancel: ends the loading, or for those who wait, the waiting.

    Raises:
        As `txpanel.load`. If the session that loads the model fails or is cancelled, the next one that waits loads it.
    """
    key = (name, device, str(dtype))
    with _loading_guard:
        loading = _loading.setdefault(key, _Loading())
    tell = progress or (lambda _progress: None)
    loading.listeners.append(tell)
    try:
        while not loading.lock.acquire(timeout=0.1):
            if cancel is not None and cancel.is_set():
                raise Cancelled(_("Loading the model was cancelled."))
        try:
            return _kept_or_loaded(key, loading, name, device, dtype, cancel)
        finally:
            loading.lock.release()
    finally:
        loading.listeners.remove(tell)


def _kept_or_loaded(
    key: Hashable, loading: _Loading, name: str, device: str, dtype: Any, cancel: threading.Event | None
) -> LanguageModel:
    found = models.get(key)
    if found is None:
        found = load(name, device=device, dtype=dtype, progress=loading.tell, cancel=cancel)
        models.put(key, found)
    return found
