"""Whether a page is being written to a file: what is asked of the server later has to be in it then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_saving", "saving"]

_saving: ContextVar[bool] = ContextVar("saving", default=False)


@contextmanager
def saving() -> Iterator[None]:
    """Components that are drawn inside bring with them what they would otherwise be asked for."""
    token = _saving.set(True)
    try:
        yield
    finally:
        _saving.reset(token)


def is_saving() -> bool:
    """Whether a page is being written."""
    return _saving.get()
