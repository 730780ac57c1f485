"""A browser may change values and report events, but not change which models a page consists of.

Bokeh's protocol is the same in both directions: a browser may push a whole document, add and remove roots, and give any model other
children. No page of ours does, and afterwards its session would be unusable and still take a place. Such a message is refused with a sentence before it
is applied, with one line in the log.

Versions: Bokeh 3.9 to 3.10.
Reason: safety; a message made up by hand leaves a session that nobody can use and that holds its memory.
Upstream: bokeh/bokeh, bokeh/server/session.py, `ServerSession.patch`, `ServerSession.push`: a server could say what it takes.
Test: tests/compat/test_browser_patches.py::test_bokeh_still_lets_a_browser_remove_the_page
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from bokeh.core.property.descriptors import UnsetValueError
from bokeh.model import DataModel, Model
from bokeh.models import Renderer, UIElement
from bokeh.server.session import ServerSession

from txpanel.compat.replacing import replace

__all__ = ["mend", "problem"]

log = logging.getLogger("txpanel.messages")

KINDS = ("ModelChanged", "MessageSent", "ColumnDataChanged", "ColumnsStreamed", "ColumnsPatched")
Handler = Callable[[Any, Any], Awaitable[Any]]


def mend() -> None:
    """Applies the workaround; once per process, may be called again."""
    replace(ServerSession, "patch", _looked_at, needs=("connection.session._handle_patch",))
    replace(ServerSession, "push", _refused, needs=("connection.session._handle_push",))


def problem(content: Any, document: Any) -> str:
    """What is wrong with a patch, before it is read; empty if a page may send it.

    Args:
        content: of the message, as JSON has it.
        document: of the session.
    """
    events = content.get("events") if isinstance(content, dict) else None
    if not isinstance(events, list):
        return "a patch without events"
    return next(filter(None, (_wrong(event, document) for event in events)), "")


def _wrong(event: Any, document: Any) -> str:
    kind = event.get("kind") if isinstance(event, dict) else None
    if kind not in KINDS:
        return f"a page does not send {str(kind)[:40]!r}"
    if kind == "MessageSent":
        return "" if event.get("msg_type") == "bokeh_event" else "a page sends no such messages"
    model, name = event.get("model"), event.get("attr")
    key = model.get("id") if isinstance(model, dict) else None
    if not isinstance(key, str) or not isinstance(name, str):
        return "a change of no model"
    found = document.models.get_by_id(key)
    if found is None:  # of a part that has gone meanwhile: Bokeh knows those
        return ""
    if name not in found.properties():
        return "a change of a property that is not there"
    return f"a page does not change {name!r}" if _holds_the_page(found, name) else ""


def _holds_the_page(model: Model, name: str) -> bool:
    """Whether a property is what a part of the page consists of, not a value of it: its children, or the pictures of a figure.

    Style sheets and active tools are lists of models, too, and widgets do set them.
    """
    try:
        value = getattr(model, name)
    except UnsetValueError:  # what only a browser knows, such as a width
        return False
    parts = value if isinstance(value, list | tuple) else [value] if name in ("data", "source") else []
    return any(isinstance(part, UIElement | Renderer | DataModel) for part in parts)


def _looked_at(own: Handler) -> Handler:
    async def patch(message: Any, connection: Any) -> Any:
        wrong = problem(message.content, connection.session.document)
        if wrong:
            return _answer(message, connection, wrong)
        return await own(message, connection)

    return patch


def _refused(_own: Handler) -> Handler:
    async def push(message: Any, connection: Any) -> Any:
        return _answer(message, connection, "a page does not replace its document")

    return push


def _answer(message: Any, connection: Any, wrong: str) -> Any:
    log.warning("a message to the server was refused: %s", wrong)
    return connection.error(message, wrong)
