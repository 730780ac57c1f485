"""What the page is told arrives: a mend for a race in Panel 1.9.4, where the last word of a change could stay unsaid.

Panel keeps messages that cannot be written at once, marks the document as waiting, and starts a task that writes them
(`panel.io.document.schedule_write_events`). A task that ends takes the mark away, even if another message came while it was
writing; the task of that message then finds no mark and gives up. The message lies there until something else is said, so a
sentence about an error came with the next click, or never.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from panel.io import document as panel_document

__all__ = ["mend"]


def mend() -> None:
    """Lets each of Panel's writing tasks look for messages instead of for the mark; once per process, more often is harmless.

    ``tests/compat/test_write_queue.py`` fails when Panel no longer needs it.
    """
    writing = panel_document._dispatch_msgs
    if getattr(writing, "_txpanel_mended", False):
        return

    @wraps(writing)
    async def write(doc: Any) -> None:
        if doc in panel_document._WRITE_MSGS:
            panel_document._WRITE_BLOCK[doc] = True
        await writing(doc)

    write._txpanel_mended = True  # type: ignore[attr-defined]
    panel_document._dispatch_msgs = write
