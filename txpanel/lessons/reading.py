"""From the file of a language to a `Lesson`. The English file says everything; another language's file has its texts alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from txpanel.errors import BadLesson
from txpanel.lessons.building import build
from txpanel.lessons.draft import Draft, File
from txpanel.lessons.lesson import Block, Lesson
from txpanel.lessons.markdown import LARGEST, Box, Front, Heading, Part, Text, at_line, parts
from txpanel.lessons.plain_yaml import plain
from txpanel.messages import _

__all__ = ["LANGUAGE", "languages", "read_lesson", "read_texts"]

LANGUAGE = "en"
"""The language whose file says what is the same in all: states, answers, conditions."""
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
CODE = re.compile(r"[a-z]{2,3}(_[A-Z][A-Za-z]{1,3})?")
MOST_STEPS = 100
TASKS = ("predict", "do")

T = TypeVar("T")


def languages(folder: Path) -> list[str]:
    """The languages that a lesson's folder has, English first."""
    found = [path.stem for path in folder.glob("*.md") if CODE.fullmatch(path.stem)]
    return sorted(found, key=lambda code: (code != LANGUAGE, code))


def read_lesson(folder: Path, language: str = LANGUAGE) -> Lesson:
    """The lesson of a folder in one language.

    Args:
        folder: with ``en.md`` and the files of other languages; its name is the lesson's id.
        language: such as ``ja``.

    Raises:
        BadLesson: a file cannot be read or does not fit; the sentence names file and line.
    """
    english = read_file(folder, LANGUAGE)
    if language == LANGUAGE:
        return read_texts(folder.name, english, None, LANGUAGE)
    return read_texts(folder.name, english, read_file(folder, language), language)


def read_file(folder: Path, language: str) -> File:
    """One file of a folder.

    Raises:
        BadLesson: as `read_lesson`.
    """
    path = folder / f"{language}.md"
    try:
        if path.stat().st_size > 4 * LARGEST:
            raise BadLesson(_("The file has more than {n} characters.").format(n=f"{LARGEST:,}"))
        text = path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise BadLesson(_("{file} cannot be read ({error}).").format(file=path, error=error)) from error
    return named(f"{folder.name}/{path.name}", lambda: parse_file(text))


def named(file: str, step: Callable[[], T]) -> T:
    """What `step` gives; an error of it gets the name of the file in front."""
    try:
        return step()
    except BadLesson as error:
        raise BadLesson(f"{file}: {error}") from error


def parse_file(text: str) -> File:
    """A file's text, taken apart into its steps."""
    found = File({}, [], [])
    for part in parts(text):
        if isinstance(part, Front):
            found.front = _with_line(part, lambda part=part: plain(part.yaml))  # type: ignore[misc]
        elif isinstance(part, Heading):
            found.steps.append(_new_step(part, found.steps))
        else:
            draft = found.steps[-1] if found.steps else None
            _with_line(part, lambda part=part, draft=draft: _take(part, draft, found.intro))  # type: ignore[misc]
    if len(found.steps) > MOST_STEPS:
        raise BadLesson(_("A lesson has at most {n} steps.").format(n=MOST_STEPS))
    return found


def _with_line(part: Part, step: Callable[[], T]) -> T:
    """What `step` returns; an error of it gets the part's line in front."""
    try:
        return step()
    except BadLesson as error:
        raise at_line(error, part.line) from error


def _new_step(heading: Heading, steps: Iterable[Draft]) -> Draft:
    if heading.level != 2:
        raise at_line(BadLesson(_("A step begins with a heading of two signs, “## …”.")), heading.line)
    if not ID.fullmatch(heading.id):
        said = _("Above the heading of a step stands its id, such as “(tokens)=”: small letters, digits, hyphens.")
        raise at_line(BadLesson(said), heading.line)
    if heading.id in [step.id for step in steps]:
        raise at_line(BadLesson(_("The id “{id}” occurs twice.").format(id=heading.id)), heading.line)
    return Draft(heading.id, heading.line, heading.runs)


def _take(part: Part, draft: Draft | None, intro: list[Block]) -> None:
    blocks = intro if draft is None else draft.blocks
    if isinstance(part, Text):
        blocks.append(Block(part.runs))
    elif isinstance(part, Box) and part.name == "only":
        only = tuple(part.arguments.replace(",", " ").split())
        if not only:
            raise BadLesson(_("“only” needs a condition, such as “:::{{only}} rotary”.").format())
        for inner in parts(part.content, part.line):
            if not isinstance(inner, Text):
                raise BadLesson(_("In “only” there are paragraphs alone."))
            blocks.append(Block(inner.runs, only))
    elif isinstance(part, Box) and draft is not None and part.name == "look":
        if draft.look is not None:
            raise BadLesson(_("A step has one “look”."))
        draft.look, draft.look_line = plain(part.content), part.line
    elif isinstance(part, Box) and draft is not None and part.name in TASKS:
        if draft.task is not None:
            raise BadLesson(_("A step has one task."))
        draft.task, draft.task_line = plain(part.content), part.line
        draft.kind = "do" if part.name == "do" else part.arguments
    else:
        name = part.name if isinstance(part, Box) else ""
        raise BadLesson(_("A box “{name}” does not belong here.").format(name=name[:40]))


def read_texts(name: str, english: File, other: File | None, language: str) -> Lesson:
    """A lesson from what the English file says and, for another language, its texts."""
    if not ID.fullmatch(name):
        raise BadLesson(
            _("“{name}” cannot be the name of a lesson: small letters, digits, hyphens.").format(name=name[:60])
        )
    texts = other if other is not None else english
    ids, theirs = [step.id for step in english.steps], [step.id for step in texts.steps]
    if ids != theirs:
        missing = [one for one in ids if one not in theirs] or [one for one in theirs if one not in ids] or theirs
        said = _("{file}: its steps are not those of the English file, in the same order. Look at “{id}”.")
        raise BadLesson(said.format(file=f"{name}/{language}.md", id=missing[0]))
    return named(f"{name}/{language}.md", lambda: build(name, language, english, texts))
