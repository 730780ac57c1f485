"""The Markdown of lessons: headings, paragraphs, bold, italic, code, ``{value}`` and ``:::{...}`` boxes. Everything else is refused with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from txpanel.errors import BadLesson
from txpanel.lessons.expressions import parse
from txpanel.lessons.lesson import Run, Runs
from txpanel.lessons.values import checked
from txpanel.messages import _

__all__ = ["Box", "Heading", "Part", "Text", "inline", "parts"]

LARGEST = 200_000
"""Characters of a file."""


@dataclass(frozen=True)
class Part:
    """Anything that stands in a file; line: where, from 1."""

    line: int


@dataclass(frozen=True)
class Front(Part):
    """The YAML at the top."""

    yaml: str


@dataclass(frozen=True)
class Heading(Part):
    """A heading with the id above it, ``(tokens)=``; empty: it has none."""

    level: int
    id: str
    runs: Runs


@dataclass(frozen=True)
class Text(Part):
    """A paragraph."""

    runs: Runs


@dataclass(frozen=True)
class Box(Part):
    """``:::{name} arguments`` with what is in it."""

    name: str
    arguments: str
    content: str = field(repr=False)


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False})
    for plugin in (front_matter_plugin, myst_role_plugin, myst_block_plugin, colon_fence_plugin):
        parser.use(plugin)
    return parser


def parts(text: str, first: int = 0) -> Iterator[Part]:
    """What a file or the inside of a box is made of.

    Args:
        first: lines before it.

    Raises:
        BadLesson: it has something that lessons do not use; the sentence says the line.
    """
    if len(text) > LARGEST:
        raise BadLesson(_("The file has more than {n} characters.").format(n=f"{LARGEST:,}"))
    tokens = _markdown().parse(text)
    name = ""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        line = first + (token.map[0] if token.map else 0) + 1
        if token.type == "front_matter":
            yield Front(line, token.content)
        elif token.type == "myst_target":
            name = token.content.strip()
        elif token.type == "colon_fence":
            yield _box(token, line)
        elif token.type in ("heading_open", "paragraph_open"):
            runs = _runs(tokens[at + 1].children or [], line)
            if token.type == "paragraph_open":
                yield Text(line, runs)
            else:
                yield Heading(line, int(token.tag[1:]), name, runs)
                name = ""
            at += 2
        elif token.type != "myst_line_comment":
            raise _refused(token.type, line)
        at += 1


def inline(text: Any, line: int) -> Runs:
    """One sentence or several, without paragraphs.

    Raises:
        BadLesson: as `parts`, or it is not a text.
    """
    if not isinstance(text, str):
        raise at_line(BadLesson(_("A text is expected, not a list or a mapping.")), line)
    found = _markdown().parseInline(text.strip())
    return _runs(found[0].children or [], line) if found else ()


def at_line(error: BadLesson, line: int) -> BadLesson:
    """The same error with its line in front; one that has a line keeps it."""
    said = str(error)
    return error if getattr(error, "line", 0) else _Placed(_("line {line}: {said}").format(line=line, said=said), line)


class _Placed(BadLesson):
    def __init__(self, said: str, line: int) -> None:
        super().__init__(said)
        self.line = line


def _box(token: Token, line: int) -> Box:
    info = token.info.strip()
    name, closed, arguments = info.partition("}")
    if not info.startswith("{") or not closed:
        raise at_line(BadLesson(_("A box begins with its name, such as “:::{{look}}”.").format()), line)
    return Box(line, name[1:].strip(), arguments.strip(), token.content)


MARKS = {"strong_open": "b", "em_open": "i"}


def _runs(tokens: Sequence[Token], line: int) -> Runs:
    found, marks = list[Run](), list[str]()

    def add(kind: str, text: str) -> None:
        before = found[-1] if found else ("", "")
        if found and before[0] == kind and isinstance(before[1], str):
            found.pop()
            text = before[1] + text
        if text:
            found.append((kind, text))

    for token in tokens:
        mark = marks[-1] if marks else ""
        if token.type in ("text", "text_special"):
            add(mark, token.content)
        elif token.type in ("softbreak", "hardbreak"):
            add(mark, " ")
        elif token.type == "code_inline":
            found.append(("code", token.content))
        elif token.type in MARKS:
            marks.append(MARKS[token.type])
        elif token.type in ("strong_close", "em_close"):
            marks.pop()
        elif token.type == "myst_role" and token.meta.get("name") == "value":
            try:
                found.append(("value", checked(parse(token.content))))
            except BadLesson as error:
                raise at_line(error, line) from error
        else:
            raise _refused(token.type, line)
    return tuple(found)


def _refused(kind: str, line: int) -> BadLesson:
    said = _("“{kind}” is not used in lessons: only headings, paragraphs, bold, italic, code, values and boxes.")
    return at_line(BadLesson(said.format(kind=kind.removesuffix("_open"))), line)
