"""After sessions have ended, the server decides when Python's garbage collector runs, not Panel.

The objects of a closed page are in reference cycles, which only a full collection frees. Panel runs one 5 s after the last session has ended, in
the thread that answers pages, which stops meanwhile: 0.4 CPU seconds with ten open pages, more with more. Here Panel calls a function instead, if
one was set (`heard_by`).

Versions: Panel 1.9.4 to 1.10.0.
Reason: speed; nobody is answered meanwhile, and a class that goes home closes its pages one after the other.
Upstream: holoviz/panel, panel/io/document.py, `_garbage_collect`: a hook for when.
Test: tests/compat/test_late_collection.py::test_panel_still_collects_by_itself
"""

from __future__ import annotations

from collections.abc import Callable

from panel.io import document as panel_document

from txpanel.compat.replacing import replace

__all__ = ["heard_by", "mend"]

_listener: Callable[[], object] | None = None


def heard_by(function: Callable[[], object] | None) -> None:
    """Sets the function that is called when sessions have ended, instead of Panel's collection; None: Panel collects."""
    global _listener
    _listener = function


def mend() -> None:
    """Applies the workaround; once per process, may be called again."""

    def asking(own: Callable[[], None]) -> Callable[[], None]:
        def collect() -> None:
            if _listener is not None:
                _listener()
            else:
                own()

        return collect

    replace(panel_document, "_garbage_collect", asking, needs=("gc.collect()",))
