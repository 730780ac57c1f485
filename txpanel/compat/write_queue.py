"""Every message reaches the page: a race in Panel could leave the last message of a change unsent.

Panel keeps messages that cannot be written at once, marks the document as waiting, and starts a task that writes them
(`panel.io.document.schedule_write_events`). A task that ends takes the mark away, even if another message came while it was
writing; the task of that message then finds no mark and gives up. The message waits until another one is sent, so a
sentence about an error came with the next click, or never. Here each task looks for messages instead of for the mark.

Versions: Panel 1.9.4 (messages wait in ``_WRITE_MSGS``) to 1.10.0 (in ``_WRITE_EVENTS``).
Reason: correctness; a message is lost otherwise.
Upstream: holoviz/panel, panel/io/document.py, `_dispatch_msgs`: take the mark away only if nothing waits.
Test: tests/compat/test_write_queue.py::test_the_workaround_is_still_needed
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel.io import document as panel_document

from txpanel.compat.replacing import replace

__all__ = ["mend"]

QUEUES = ("_WRITE_EVENTS", "_WRITE_MSGS")
"""What waits, by document; the newer name first."""


def mend() -> None:
    """Lets each of Panel's writing tasks look for messages instead of for the mark; once per process, may be called again."""
    queue = next((name for name in QUEUES if hasattr(panel_document, name)), QUEUES[0])

    def looking(own: Callable[[Any], Any]) -> Any:
        async def write(doc: Any) -> None:
            if doc in getattr(panel_document, queue):
                panel_document._WRITE_BLOCK[doc] = True
            await own(doc)

        return write

    replace(panel_document, "_dispatch_msgs", looking, needs=(f"{queue}.pop(doc", "if doc not in _WRITE_BLOCK"))
