"""The little language of values: ``weight(last, first)``. Names, calls, numbers and words in quotation marks; no operators, no code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from txpanel.errors import BadLesson
from txpanel.messages import _

__all__ = ["Call", "Expression", "parse", "spelled"]

LONGEST = 200
DEEPEST = 6

_PIECE = re.compile(
    r"""\s*(?:(?P<name>[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)|(?P<number>-?\d{1,12}(?:\.\d{1,12})?)|(?P<word>"[^"]{0,80}"|'[^']{0,80}')|(?P<sign>[(),]))"""
)


@dataclass(frozen=True)
class Call:
    """A declared value by its name, with arguments."""

    name: str
    arguments: tuple[Expression, ...] = ()


Expression = Call | float | str
"""A value of the vocabulary, a number, or a word."""


def parse(text: str) -> Expression:
    """An expression from its text.

    Raises:
        BadLesson: it is not one, in words.
    """
    if len(text) > LONGEST:
        raise BadLesson(_("An expression has at most {n} characters.").format(n=LONGEST))
    pieces = _pieces(text)
    found, at = _expression(pieces, 0, text, 0)
    if at != len(pieces):
        raise _wrong(text)
    return found


def spelled(expression: Expression) -> str:
    """An expression as an author would write it."""
    if isinstance(expression, Call):
        inside = ", ".join(spelled(argument) for argument in expression.arguments)
        return f"{expression.name}({inside})" if inside else expression.name
    return f"{expression:g}" if isinstance(expression, float) else f'"{expression}"'


def _pieces(text: str) -> list[tuple[str, str]]:
    found, at = list[tuple[str, str]](), 0
    while text[at:].strip():
        piece = _PIECE.match(text, at)
        if piece is None:
            raise _wrong(text)
        kind = piece.lastgroup or ""
        found.append((kind, piece[kind]))
        at = piece.end()
    return found


def _expression(pieces: list[tuple[str, str]], at: int, text: str, depth: int) -> tuple[Expression, int]:
    if at >= len(pieces) or depth > DEEPEST:
        raise _wrong(text)
    kind, piece = pieces[at]
    if kind == "number":
        return float(piece), at + 1
    if kind == "word":
        return piece[1:-1], at + 1
    if kind != "name":
        raise _wrong(text)
    if at + 1 >= len(pieces) or pieces[at + 1] != ("sign", "("):
        return Call(piece), at + 1
    arguments, at = list[Expression](), at + 2
    while True:
        argument, at = _expression(pieces, at, text, depth + 1)
        arguments.append(argument)
        if at >= len(pieces) or pieces[at] not in (("sign", ","), ("sign", ")")):
            raise _wrong(text)
        at += 1
        if pieces[at - 1][1] == ")":
            return Call(piece, tuple(arguments)), at


def _wrong(text: str) -> BadLesson:
    said = _("“{text}” is not an expression. Write a name such as tokens.count, or weight(last, first).")
    return BadLesson(said.format(text=text[:80]))
