"""Collects changes of a document, so that Bokeh walks through its models at most once.

Bokeh looks through all models (0.1 s on our page) whenever one is replaced, and its own ``freeze`` does so at the end whether or
not anything was. Here it is done if somebody asked for it, also after an exception.

Versions: Bokeh 3.9 to 3.10.
Reason: 0.1 s of the server for each change that replaces nothing.
Upstream: bokeh/bokeh, bokeh/document/models.py, `DocumentModelManager.freeze`: recompute only if `invalidate` was called.
Test: tests/compat/test_one_look_through.py::test_bokehs_own_freeze_still_looks_without_need
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import panel as pn
from bokeh.document.models import DocumentModelManager
from panel.io.document import unlocked

from txpanel.compat.replacing import fits

__all__ = ["one_look_through"]


@contextmanager
def one_look_through() -> Iterator[None]:
    """Changes made inside go to the browser as one message, and Bokeh walks through the page's models at most once."""
    doc = pn.state.curdoc
    if doc is None:
        yield
        return
    models: Any = doc.models
    if not _as_known():
        with unlocked(), models.freeze():
            yield
        return
    if models._freeze_count:
        yield
        return
    roots, asked = list(doc.roots), list[bool]()
    with unlocked():
        models._push_freeze()
        models.__dict__["invalidate"] = lambda: asked.append(True)
        try:
            yield
        finally:
            del models.__dict__["invalidate"]
            models._freeze_count -= 1
            if asked or roots != doc.roots:
                models.recompute()


@cache
def _as_known() -> bool:
    """Whether Bokeh still counts in this way, so that its own part can be left out."""
    return fits(DocumentModelManager, "_pop_freeze", ("self._freeze_count -= 1", "self.recompute()")) and fits(
        DocumentModelManager, "_push_freeze", ("self._freeze_count += 1",)
    )
