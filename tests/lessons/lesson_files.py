"""Small lesson files for tests."""

from __future__ import annotations

from pathlib import Path

from txpanel.lessons.lesson import Lesson
from txpanel.lessons.reading import read_lesson

STEP = """(one)=
## A step

A sentence.
"""


def write(folder: Path, text: str, language: str = "en") -> Path:
    """A lesson's folder with a file of a language."""
    folder.mkdir(exist_ok=True)
    (folder / f"{language}.md").write_text(text, encoding="utf-8")
    return folder


def lesson(folder: Path, steps: str = STEP, front: str = "title: A lesson") -> Lesson:
    """A lesson of these steps, read."""
    return read_lesson(write(folder / "mine", f"---\n{front}\n---\n\n{steps}"))


def task(folder: Path, kind: str, yaml: str) -> Lesson:
    """A lesson of one step with a task."""
    box = "do" if kind == "do" else f"predict}} {kind}".replace("}}", "}")
    opened = "{do}" if kind == "do" else "{" + box
    return lesson(folder, f"(one)=\n## A step\n\n:::{opened}\n{yaml}\n:::\n")
