"""How a value is declared: its name in lesson files, its arguments, what it is, and the function that computes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from txpanel.errors import BadLesson, TxpanelError, Unsupported
from txpanel.lessons.expressions import Call, Expression, spelled
from txpanel.lessons.situation import Situation
from txpanel.messages import _

__all__ = ["VALUES", "Found", "Kind", "checked", "evaluate", "value"]

Kind = Literal["count", "number", "share", "token", "place", "ordinal", "word", "size"]
"""What a value is: a whole number, a number, a share (0 to 1), a token by its id, a position or an index (both shown from 1), a word, bytes."""


@dataclass(frozen=True)
class Found:
    """A value that was computed: what it is, and its number (of a token its id) or word."""

    kind: Kind
    raw: float | str


@dataclass(frozen=True)
class Declared:
    """A name of the vocabulary.

    Attributes:
        takes: kinds of its arguments, each one or several; a last ``"..."`` lets the last two repeat.
        known: for a value that is computed in the background, since it takes long: tells whether it has been computed.
    """

    name: str
    kind: Kind | None
    takes: tuple[str, ...]
    compute: Callable[..., Any]
    known: Callable[..., bool] | None = None


VALUES: dict[str, Declared] = {}
"""The whole vocabulary, by name."""

NUMERIC = ("count", "number", "share", "place", "ordinal", "size")


def value(
    name: str, kind: Kind | None, *takes: str, known: Callable[..., bool] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares the value that a function computes from a `Situation` and its arguments.

    Args:
        name: in lesson files. kind: what it gives; None: the function gives a `Found`.
        takes: of each argument ``place``, ``rank``, ``number``, ``word``, ``any``; ``...`` at the end repeats the last two.
        known: the value takes long; this function of the same arguments tells whether it has been computed. If not, that is done in the background.
    """

    def declare(compute: Callable[..., Any]) -> Callable[..., Any]:
        VALUES[name] = Declared(name, kind, takes, compute, known)
        return compute

    return declare


def checked(expression: Expression) -> Expression:
    """The expression itself, if all its names are declared and take so many arguments.

    Raises:
        BadLesson: in words.
    """
    if not isinstance(expression, Call):
        return expression
    declared = VALUES.get(expression.name)
    if declared is None:
        near = [name for name in VALUES if name.split(".")[0] == expression.name.split(".")[0]] or sorted(VALUES)
        said = _("There is no value “{name}”. There are: {all}.")
        raise BadLesson(said.format(name=expression.name[:60], all=", ".join(near)))
    given, takes = len(expression.arguments), [one for one in declared.takes if one != "..."]
    repeats = "..." in declared.takes
    if given < len(takes) or (given > len(takes) and not (repeats and given % 2 == 0)):
        said = _("“{text}”: this value takes {n} arguments ({takes}).")
        raise BadLesson(said.format(text=spelled(expression), n=len(takes), takes=", ".join(takes) or "–"))
    for argument in expression.arguments:
        checked(argument)
    return expression


def is_slow(expression: Expression, here: Situation) -> bool:
    """Whether a value in it has to be computed in the background first."""
    if not isinstance(expression, Call):
        return False
    if any(is_slow(argument, here) for argument in expression.arguments):
        return True
    known = VALUES[expression.name].known
    if known is None:
        return False
    try:
        return not known(here, *_given(expression, here))
    except TxpanelError:  # a value that does not exist is refused at once
        return False


def evaluate(expression: Expression, here: Situation) -> Found:
    """Computes an expression.

    Raises:
        Unsupported: this model or text does not have the value, in words.
    """
    if isinstance(expression, float):
        return Found("number", expression)
    if isinstance(expression, str):
        return Found("word", expression)
    declared = VALUES[expression.name]
    try:
        found = declared.compute(here, *_given(expression, here))
        if isinstance(found, float) and math.isnan(found):
            raise ValueError("nan")
    except TxpanelError:
        raise
    except (IndexError, KeyError, ValueError, ZeroDivisionError, OverflowError) as error:
        said = _("This run has no value “{text}”.").format(text=spelled(expression))
        raise Unsupported(said) from error
    if isinstance(found, Found):
        return found
    if declared.kind is None:
        raise AssertionError(declared.name)
    return Found(declared.kind, found if isinstance(found, str) else float(found))


def _given(call: Call, here: Situation) -> list[Any]:
    """The arguments of a value as its function takes them."""
    kinds = [one for one in VALUES[call.name].takes if one != "..."]
    return [
        _as(kinds[i] if i < len(kinds) else kinds[len(kinds) - 2 + i % 2], evaluate(argument, here), here)
        for i, argument in enumerate(call.arguments)
    ]


def _as(kind: str, found: Found, here: Situation) -> Any:
    """An argument as its function takes it."""
    if kind == "any":
        return found
    if kind == "word":
        if not isinstance(found.raw, str):
            raise Unsupported(_("A word is expected here."))
        return found.raw
    if isinstance(found.raw, str):
        raise Unsupported(_("A number is expected here, not “{word}”.").format(word=found.raw[:40]))
    if kind == "place":
        place = int(found.raw)
        if not 0 <= place < len(here.ids):
            raise Unsupported(_("This text has no token {n}.").format(n=place + 1))
        return place
    if kind == "rank":
        if int(found.raw) < 1:
            raise Unsupported(_("Ranks begin with 1."))
        return int(found.raw)
    return float(found.raw)
