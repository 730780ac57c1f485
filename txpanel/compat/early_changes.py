"""A change that is made while the browser loads the page reaches it.

Between the sending of the document and the browser's message that the page is ready, Panel drops changes: it assumes that the document has
not been sent yet and will contain them. So a result that came in the half second in which a page was drawn was shown only after the next
change.

Versions: Panel 1.9.4; 1.10.0 asks whether the browser has the document (`_client_has_document`).
Reason: correctness; a change is lost otherwise.
Upstream: holoviz/panel, panel/io/document.py, `_drain_unconnected_events` (mended in 1.10).
Test: tests/compat/test_early_changes.py::test_the_workaround_is_still_needed
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from panel.io import document as panel_document

from txpanel.compat.replacing import replace

__all__ = ["mend"]


def mend() -> None:
    """Lets Panel drop changes of documents only that no browser has; once per process, may be called again."""

    def keeping(own: Callable[..., Any]) -> Any:
        def drain(doc: Any, lock: threading.Lock) -> Any:
            session = getattr(doc.session_context, "session", None)
            if not (_sent(doc) and getattr(session, "_pending_writes", None) is not None):
                return own(doc, lock)
            with lock:  # the session's own thread, with its document locked: Bokeh sends what it is told now
                events = list(doc.callbacks._held_events or ())
                doc.callbacks._held_events, doc.callbacks._hold = [], None
            return events

        return drain

    if not hasattr(panel_document, "_client_has_document"):
        replace(
            panel_document,
            "_drain_unconnected_events",
            keeping,
            needs=("callbacks._held_events", "callbacks._hold = None"),
        )


def _sent(doc: Any) -> bool:
    """Whether the document has been written for a browser: Bokeh keeps a list of the models that have not."""
    live, unsent = getattr(doc.models, "_models", None), getattr(doc.models, "_new_models", None)
    return live is not None and unsent is not None and any(model not in unsent for model in live.values())
