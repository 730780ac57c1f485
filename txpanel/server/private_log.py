"""Keeps visitors' texts out of the log: they are in addresses (``?text=...``) and in messages, which libraries quote.

A request is logged without what follows its ``?``, a message by its size. A request that was refused by a limit has its own
line (``txpanel.server.refusals``), so Tornado's second one, which would call it an error, is left out. What an error itself says is kept: the
operator needs it.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

from txpanel.server.refusals import refuse

__all__ = ["LOGGERS", "REFUSED", "Private", "install"]

LOGGERS = (
    "tornado.access",
    "tornado.application",
    "tornado.general",
    "bokeh.server.views.ws",
    "bokeh.server.protocol_handler",
)
"""Loggers that quote what a browser has sent."""
REFUSED = (429, 503)
_QUERY = re.compile(r"\?[^\s'\"]*")
_VALUE = re.compile(r"(Invalid unicode in \S{1,60}): .*", re.DOTALL)
"""Tornado's message about a value of an address or a form, which may be a text or a password."""
_SHORT = 150


class Private(logging.Filter):
    """Removes from a log record what a visitor has sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for records that are not written."""
        if isinstance(record.msg, str):
            record.msg = _VALUE.sub(r"\1", record.msg)
        if isinstance(record.args, tuple):
            if record.name == "tornado.access" and record.args and record.args[0] in REFUSED:
                return False
            if record.name == "bokeh.server.protocol_handler" and record.levelno >= logging.ERROR:
                _of_the_browser(record)
            record.args = tuple(map(_private, record.args))
        return True


def _of_the_browser(record: logging.LogRecord) -> None:
    """A message that Bokeh cannot read is not an error of this server: the traceback is left out, and a refusal is counted."""
    error = next((arg for arg in record.args or () if isinstance(arg, BaseException)), None)
    if error is None or any(_is_ours(frame.f_globals) for frame, _line in traceback.walk_tb(error.__traceback__)):
        return
    refuse("message-odd")
    record.levelno, record.levelname, record.exc_info, record.exc_text = logging.WARNING, "WARNING", None, None
    record.msg = record.msg.replace("\n", " ") if isinstance(record.msg, str) else record.msg


def _is_ours(module: dict[str, Any]) -> bool:
    """Whether a frame's module is a view's or the page's, not a library's or a workaround that only calls one."""
    name = str(module.get("__name__", ""))
    return not name.startswith(("bokeh.", "panel.", "param.", "tornado.", "txpanel.compat."))


def _private(value: Any) -> Any:
    if value is None or isinstance(value, int | float | BaseException):
        return value
    if isinstance(value, bytes) or (isinstance(value, str) and value.lstrip()[:1] in ("{", "[")):
        return f"({len(value):,} {'bytes' if isinstance(value, bytes) else 'characters'})"
    if not isinstance(value, str) and type(value).__module__.startswith("bokeh."):
        return f"({type(value).__name__})"
    text = _QUERY.sub("", value if isinstance(value, str) else repr(value))
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def install() -> None:
    """From now on; may be called again."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Private) for one in logger.filters):
            logger.addFilter(Private())
