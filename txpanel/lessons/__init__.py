"""Lessons: texts that drive the page, and questions whose right answers are computed from the run on screen.

A lesson is a folder with one Markdown file per language; how it is written: docs/lessons.md. `reading` makes a `Lesson` of it, `values` what its
sentences and answers may name, `tasks` which answer is right, `check` finds an author's mistakes, `handout` makes a page to print and a notebook.
`Walk` goes through a lesson by code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Walk"]

if TYPE_CHECKING:
    from txpanel.lessons.walk import Walk as Walk


def __getattr__(name: str) -> Any:
    """Import the public name on its first use (PEP 562): rooms that need a part of lessons do not need all of them."""
    if name == "Walk":
        from txpanel.lessons.walk import Walk  # late: see above

        return Walk
    raise AttributeError(f"module 'txpanel.lessons' has no attribute {name!r}")
