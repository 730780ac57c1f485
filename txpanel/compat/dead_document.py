"""Panel objects that are closed after a session's end do not change the session's document, which Bokeh has destroyed by then.

Bokeh destroys the document and calls the callbacks for a session's end afterwards, in no order. Until Panel's own turn comes, ``pn.state`` knows the page,
and each change of a Panel object is made in its models as well. Since 1.10 that raises (`hold` asks the document for callbacks that are no more), so whoever
empties a layout then stops in the middle of it, and what comes after is kept for ever.

Versions: Panel 1.9.4 to 1.10.0, Bokeh 3.9 to 3.10.
Reason: correctness with Panel 1.10 (half of a session stayed in memory); time for changes that nobody sees with 1.9.
Upstream: holoviz/panel, panel/io/document.py, `hold`: leave a document without ``_roots`` alone.
Test: tests/compat/test_dead_document.py::test_panel_still_changes_the_models_of_a_document_that_is_no_more
"""

from __future__ import annotations

from typing import Any

import panel as pn

__all__ = ["let_go"]


def let_go(document: Any) -> None:
    """Takes the page of a document out of ``pn.state``, before Panel does; may be called again."""
    views = pn.state._views
    for name in [name for name, (_view, _root, of, _comm) in list(views.items()) if of is document]:
        views.pop(name, None)
