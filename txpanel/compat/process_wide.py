"""The workarounds that change something for a whole process, in the order in which a server applies them.

Somebody else's process (a notebook, a program with `pn.serve`) is left as it is, but for those of "view", without which a page of ours
there would miss messages: they lose nothing and change nothing else. What each brings: ``python -m benchmarks.replacements``.
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
    "view": (
        "write_queue",
        "early_changes",
    ),
    "page": (
        "late_collection",
        "style_lookup",
        "known_models",
    ),
}  # fmt: skip
"""When a server starts; before it imports torch and transformers; where a view is put on a served page, whoever serves it; before our server
makes a page."""


def apply(when: Literal["start", "imports", "view", "page"]) -> None:
    """Applies those of one moment; may be called again."""
    for name in AT[when]:
        importlib.import_module(f"{__package__}.{name}").mend()
