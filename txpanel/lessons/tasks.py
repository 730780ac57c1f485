"""The right answer, computed from the run on screen, and what is said to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from txpanel.errors import BadLesson, TxpanelError, Unsupported
from txpanel.lessons.lesson import Option, Runs, Task, Wrong
from txpanel.lessons.situation import Situation
from txpanel.lessons.values import evaluate
from txpanel.lessons.values.comparing import equal
from txpanel.lessons.values.declared import Found
from txpanel.messages import _

__all__ = ["Right", "Verdict", "as_shares", "judge", "options_of", "ordered", "right_answer"]


@dataclass(frozen=True)
class Right:
    """The right answer of a task in a situation.

    Attributes:
        option: id of the right option of a choice. found: the values of the answer; for a cell query and key.
    """

    option: str = ""
    found: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What an answer is: right or not, what is said to it, and the id of the confusion behind it (or empty)."""

    right: bool
    says: Runs = ()
    confusion: str = ""


def right_answer(task: Task, here: Situation) -> Right:
    """Computes what is right.

    Raises:
        Unsupported: the question cannot be decided here: a value is not there, none or several of the options are right, or two
            options are the same.
    """
    found = tuple(evaluate(expression, here) for expression in task.answer)
    if task.kind in ("number", "token", "cell") and any(isinstance(one.raw, str) for one in found):
        raise Unsupported(_("The answer is not a number."))
    if task.kind in ("token", "cell") and any(not 0 <= int(one.raw) < len(here.ids) for one in found):
        raise Unsupported(_("The answer is not a token of this text."))
    if task.kind == "cell" and not here.allowed[int(found[0].raw), int(found[1].raw)]:
        raise Unsupported(_("This cell is masked."))
    if task.kind != "choice":
        return Right(found=found)
    values = [evaluate(option.value, here) for option in task.options]
    right = [option.id for option, value in zip(task.options, values, strict=True) if equal(value, found[0])]
    if len(right) != 1:
        raise Unsupported(_("Not exactly one of the options is right here."))
    for at, value in enumerate(values):
        if any(equal(value, other) for other in values[at + 1 :]):
            raise Unsupported(_("Two options are the same here."))
    return Right(right[0], found)


def judge(task: Task, answer: Any, here: Situation) -> Verdict:
    """Judge an answer.

    Args:
        answer: of a choice the option's id; of a number a number; of a token its position from 0; of a cell query and key.

    Raises:
        BadLesson: it is no answer to this task, or about a token that the text does not have. Unsupported: the question cannot be
            decided here.
    """
    right = right_answer(task, here)
    if task.kind == "choice":
        option = next((one for one in task.options if one.id == answer), None)
        if option is None:
            raise BadLesson(_("This is not one of the options."))
        return Verdict(True) if option.id == right.option else Verdict(False, option.says, option.confusion)
    given = _numbers(answer, 2 if task.kind == "cell" else 1)
    if task.kind in ("token", "cell") and not all(one.is_integer() and 0 <= one < len(here.ids) for one in given):
        raise BadLesson(_("The answer is not a token of this text."))
    wanted = tuple(float(one.raw) for one in right.found)
    if _near(given, wanted, task):
        return Verdict(True)
    for wrong in task.wrong:
        if _is(wrong, given, task, here):
            return Verdict(False, wrong.says, wrong.confusion)
    return Verdict(False)


def _numbers(answer: Any, n: int) -> tuple[float, ...]:
    given = answer if isinstance(answer, list | tuple) else [answer]
    if len(given) != n or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in given):
        raise BadLesson(_("A number is expected here."))
    found = tuple(float(one) for one in given)
    if not all(abs(one) < 1e15 for one in found):  # also what is not a number
        raise BadLesson(_("A number is expected here."))
    return found


def _near(given: tuple[float, ...], wanted: tuple[float, ...], task: Task) -> bool:
    def room(one: float) -> float:
        return (task.within * abs(one) if task.relative else task.within) + 1e-9 * max(1.0, abs(one))

    return all(abs(a - b) <= room(b) for a, b in zip(given, wanted, strict=True))


def _is(wrong: Wrong, given: tuple[float, ...], task: Task, here: Situation) -> bool:
    """Whether an answer is the foreseen wrong one; one that cannot be computed here is none."""
    if not wrong.value:
        return True
    try:
        found = [evaluate(expression, here).raw for expression in wrong.value]
    except Unsupported:
        return False
    return all(isinstance(one, float) for one in found) and _near(given, tuple(map(float, found)), task)


def as_shares(task: Task, here: Situation) -> bool:
    """Whether a task asks for a number in percent."""
    return task.kind == "number" and evaluate(task.answer[0], here).kind == "share"


def ordered(task: Task, here: Situation) -> tuple[Option, ...]:
    """The options of a choice as they are shown: by value, numbers by size, tokens by their spelling, words last; or as in the file."""
    return tuple(sorted(task.options, key=lambda option: _rank(option, here))) if task.by_value else task.options


def _rank(option: Option, here: Situation) -> tuple[int, float, str]:
    try:
        found = evaluate(option.value, here)
    except TxpanelError:
        return (2, 0.0, "")
    if isinstance(found.raw, str):
        return (1, 0.0, "")
    if found.kind == "token":
        return (0, 0.0, here.spelling(int(found.raw)))
    return (0, found.raw, "")


def options_of(task: Task) -> Mapping[str, Option]:
    """The options of a choice by their ids."""
    return {option.id: option for option in task.options}
