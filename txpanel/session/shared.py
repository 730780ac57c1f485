"""What all sessions of a server share: models, and the runs of models.

A run is immutable, so two visitors with the same text look at the same one. Both stores are bounded by bytes, runs together with all else that is
kept (:mod:`txpanel.models.memory`), models by a limit of their own: the least recently used is dropped (a session that still uses it keeps it alive).
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from txpanel.errors import Cancelled, TooLarge, TxpanelError
from txpanel.messages import _
from txpanel.models.allowance import allowance
from txpanel.models.environment import environment
from txpanel.models.language_model import LanguageModel
from txpanel.models.loading import load
from txpanel.models.memory import MEMORY, Memory, Store
from txpanel.models.progress import Progress, ProgressCallback
from txpanel.models.turns import SAID_AFTER, asking
from txpanel.tracing.record import record
from txpanel.tracing.trace import Trace

traces: Store[Hashable, Trace] = Store("runs", Trace.storages)
models: Store[Hashable, LanguageModel] = Store(
    "models", lambda model: model.nbytes, memory=Memory(lambda: environment().model_bytes)
)


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


def shared_trace(
    model: LanguageModel, text: str | Sequence[int], options: Hashable = (), *, keep: bool = True
) -> Trace:
    """The run of a model on a text or on token ids, recorded once for all sessions.

    Args:
        keep: whether to keep the run for others; False for branches that are computed in passing, when a tree is restored.

    Raises:
        EmptyText, TooLong, OverLimit: in words. Cancelled: the request was.
    """
    model = model.now()
    source = text if isinstance(text, str) else tuple(text)
    key = (model.key, source, options)
    found = _of_now(traces.get(key))
    if found is not None:
        allowance().check_tokens(len(found.tokens.ids))
        return found
    _check_size(model, source)
    allowance().check()
    with _alone(key):  # it may have been made while this call waited
        found = _of_now(traces.get(key))
        if found is None:
            found = record(model, source if isinstance(source, str) else list(source))
            found.on_growth = _recount
            if keep:
                traces.put(key, found, owner=found.uid)
            if keep and isinstance(source, str) and _spelled_as_its_ids(found):
                runs = found.model or model  # an encoder-decoder that has read the text
                traces.put((runs.key, tuple(found.tokens.ids.tolist()), options), found, owner=found.uid)
        return found


def _spelled_as_its_ids(found: Trace) -> bool:
    """Whether a run of a text may also be given to a request for its token ids.

    A tokenizer that does not know a word, or drops blanks, gives several texts the same ids; the pieces of the run are those of one text.
    """
    if found.tokens.places or found.model is None:
        return False
    read = found.model.tokens(found.tokens.ids.tolist(), begins=True)
    return read.pieces == found.tokens.pieces and read.exact == found.tokens.exact


def kept_trace(model: LanguageModel, text: str) -> Trace | None:
    """The run of a model on a text, if one is kept and the model has not changed since; never waits, and samples the weights only briefly."""
    try:
        model = model.now()
        found = traces.get((model.key, text, ()))
        if found is None or found.recording.state is None:
            return None
        return found if model.state(briefly=True).key == found.recording.state.key else None
    except TxpanelError:  # the model has changed and cannot be opened any more: running it says so
        return None


def kept_model(name: str, *, device: str = "cpu", dtype: Any = None) -> LanguageModel | None:
    """A model that is loaded; never waits."""
    return models.get((name, device, str(dtype)))


def _of_now(found: Trace | None) -> Trace | None:
    """A run that is kept, unless its model has changed since."""
    return found if found is not None and found.stale is None else None


def _check_size(model: LanguageModel, source: str | Sequence[int]) -> None:
    """Raises `OverLimit` or `TooLong` if this thread's request may not run on so many tokens; before anything is done with them."""
    allowed = allowance()
    if not isinstance(source, str):
        allowed.check_tokens(len(source))
        return
    allowed.check_characters(source)
    if allowed.limits.max_tokens:
        allowed.check_tokens(len(model.encode(source)))


@dataclass(eq=False)
class _Making:
    """A run that is being made: one session makes it, the others wait and get the same one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


_making: dict[Hashable, _Making] = {}
_making_guard = threading.Lock()


@contextmanager
def _alone(key: Hashable) -> Iterator[None]:
    """One thread at a time for each key; if that fails or is cancelled, the next one begins.

    Raises:
        Cancelled: the request was.
    """
    with _making_guard:
        making = _making.setdefault(key, _Making())
        making.users += 1
    try:
        _wait_for(making.lock)
        try:
            yield
        finally:
            making.lock.release()
    finally:
        with _making_guard:
            making.users -= 1
            if not making.users:
                del _making[key]


def _wait_for(lock: threading.Lock) -> None:
    who, begin, said = asking(), time.monotonic(), False
    try:
        while not lock.acquire(timeout=0.05):
            if who is not None and who.cancel.is_set():
                raise Cancelled(_("Stopped."))
            if who is not None and not said and time.monotonic() - begin >= SAID_AFTER:
                who.say(0)
                said = True
    finally:
        if said and who is not None:
            who.say(None)


def _recount(trace: Trace) -> None:
    traces.recount(trace.uid)


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
        found = _loaded(name, device=device, dtype=dtype, progress=loading.tell, cancel=cancel)
        models.put(key, found)
    return found


def _loaded(name: str, **options: Any) -> LanguageModel:
    """A model; the others, which are kept so that one can come back to them, make room where it does not fit beside them."""
    try:
        return load(name, **options)
    except TooLarge:
        if not len(models):
            raise
    models.clear()
    MEMORY.clear()
    gc.collect()
    return load(name, **options)
