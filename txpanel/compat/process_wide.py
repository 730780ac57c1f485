"""The workarounds that change something for a whole process, in the order in which a server applies them.

A notebook's process belongs to somebody else: nothing of this is done there. What each brings: ``python -m benchmarks.replacements``.
"""

from __future__ import annotations

import importlib
from typing import Literal

__all__ = ["AT", "apply"]

AT: dict[str, tuple[str, ...]] = {
    "start": (
        "shared_heap",
        "closed_tabs",
        "kept_connections",
        "plain_query",
        "browser_patches",
        "held_exits",
    ),
    "imports": (
        "lean_imports",
    ),
    "page": (
        "write_queue",
        "late_collection",
        "style_lookup",
        "known_models",
    ),
}  # fmt: skip
"""When a server starts; before it imports torch and transformers; before it makes a page."""


def apply(when: Literal["start", "imports", "page"]) -> None:
    """Applies those of one moment; may be called again."""
    for name in AT[when]:
        importlib.import_module(f"{__package__}.{name}").mend()
