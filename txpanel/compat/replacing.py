"""How a workaround takes the place of a library's function: once, and only where that is still what it was written for.

What has changed or is gone is left alone, with one line in the log: a page without a workaround may be slower, one with a wrong
workaround is broken.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

__all__ = ["fits", "original", "replace"]

log = logging.getLogger(__name__)

OWN = "_txpanel_own"
"""Attribute of our functions that holds the library's own."""


def replace(owner: Any, name: str, make: Callable[[Any], Any], needs: Iterable[str] = ()) -> bool:
    """Puts ``make(own)`` in the place of ``owner.name``; once per process, may be called again.

    Args:
        owner: a module or a class.
        name: of a function or method in it.
        make: given the library's own function, returns ours.
        needs: pieces of the own function's source without which ours would not fit.

    Returns:
        Whether ours is there now.
    """
    own: Any = getattr(owner, name, None)
    if hasattr(own, OWN):
        return True
    if not fits(owner, name, needs):
        return False
    ours = wraps(own)(make(own))
    setattr(ours, OWN, own)
    setattr(owner, name, ours)
    return True


def fits(owner: Any, name: str, needs: Iterable[str] = ()) -> bool:
    """Whether a library still has a function, with those pieces in its source; says in the log if not."""
    own: Any = getattr(owner, name, None)
    try:
        source = inspect.getsource(inspect.unwrap(own)) if callable(own) else ""
    except (OSError, TypeError):  # compiled, or without its source
        source = ""
    missing = [piece for piece in needs if piece not in source]
    if callable(own) and not missing:
        return True
    where = f"{getattr(owner, '__module__', '')}.{owner.__name__}.{name}".lstrip(".")
    log.info("left as it is: %s does not have %s", where, ", ".join(missing) or "that function")
    return False


def original(owner: Any, name: str) -> Any:
    """The library's own function, whether ours is in its place or not."""
    found = getattr(owner, name)
    return getattr(found, OWN, found)
