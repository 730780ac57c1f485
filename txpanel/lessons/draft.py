"""A lesson's file taken apart, before it is checked and put together with that of another language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from txpanel.lessons.lesson import Block, Runs

__all__ = ["Draft", "File"]


@dataclass
class Draft:
    """A step as its file has it."""

    id: str
    line: int
    title: Runs
    blocks: list[Block] = field(default_factory=list)
    look: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    kind: str = ""
    look_line: int = 0
    task_line: int = 0


@dataclass
class File:
    """One file: what stands in its front matter, and its steps."""

    front: dict[str, Any]
    intro: list[Block]
    steps: list[Draft]
