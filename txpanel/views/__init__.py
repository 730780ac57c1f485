"""The views: a folder each, and each an entry point of this package, as those of other packages are of theirs.

``txpanel.views.AttentionView`` and its like are the classes that the entry points name; each is imported when it is first used.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

_SHARED = {"View": "txpanel.views.base", "ViewFrame": "txpanel.views.frame", "WhyCard": "txpanel.views.why.view"}
"""What is public besides: the base class, the frame, and the page's own “why this number” card."""

if TYPE_CHECKING:
    from txpanel.views.base import View as View
    from txpanel.views.frame import ViewFrame as ViewFrame
    from txpanel.views.why.view import WhyCard as WhyCard


@cache
def _built_in() -> dict[str, EntryPoint]:
    """Class name -> entry point of each view that this package registers."""
    from txpanel.views.discovery import built_in, installed  # late: not before somebody asks for a view

    return {entry.attr: entry for entry in installed() if built_in(entry)}


def __getattr__(name: str) -> Any:
    """Import a view on its first use (PEP 562)."""
    if name == "__all__":
        return __dir__()
    if name in _SHARED:
        return getattr(import_module(_SHARED[name]), name)
    if name.startswith("_") or name not in _built_in():
        raise AttributeError(f"module 'txpanel.views' has no attribute {name!r}")
    return _built_in()[name].load()


def __dir__() -> list[str]:
    return sorted({*_SHARED, *_built_in()})
