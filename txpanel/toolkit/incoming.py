"""Messages of a browser before a handler gets them: the one place that reduces them to plain data and drops those that make no sense.

A message may have been written by anybody. `plain` leaves of it what JSON has (texts that can be encoded, finite numbers of a size that
a browser has, lists and tables of them) and no more than a page ever sends. `heard` is around every handler of messages: what a handler
cannot use is one line in the log, and nothing on the page.
"""

from __future__ import annotations

import functools
import logging
import math
import traceback
from collections.abc import Callable
from typing import Any

from txpanel.compat.held_exits import is_held

__all__ = ["heard", "plain"]

log = logging.getLogger("txpanel.messages")

DEEPEST = 8
"""Lists and tables inside each other."""
MOST = 20_000
"""Values in one message: no page sends as many."""
LARGEST = 2**53
"""The largest whole number that a browser has exactly."""


class _TooMuch(ValueError):
    """A message that no page sends."""


def plain(data: Any) -> Any:
    """A message as plain data; None in the place of a value that is not.

    Raises:
        ValueError: there is more of it than any page sends.
    """
    return _plain(data, DEEPEST, [MOST])


def _plain(value: Any, deep: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or deep < 0:
        raise _TooMuch("a message larger or deeper than any that the page sends")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -LARGEST <= value <= LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {
            _plain(key, deep, left): _plain(each, deep - 1, left) for key, each in value.items() if isinstance(key, str)
        }
    if isinstance(value, list | tuple):
        return [_plain(each, deep - 1, left) for each in value]
    return None


def heard(handler: Callable[..., Any]) -> Callable[..., None]:
    """Decorates a method that handles a browser's message: it gets plain data, and what it raises becomes a line of the log.

    An error of what happens then, such as a view's update, is on that view's own card and does not come here.
    """

    @functools.wraps(handler)
    def hear(self: Any, *given: Any) -> None:
        try:
            handler(self, *(plain(each) for each in given))
        except BaseException as error:
            if not is_held(error):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error}"[:200]
            log.warning(
                "a message to %s was of no use (%s, %s:%s)", type(self).__name__, said, where.filename, where.lineno
            )
            log.debug("its traceback", exc_info=error)

    return hear
