"""The right answer of a task as a person reads it, and what is said to each wrong answer that is foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from txpanel.errors import TxpanelError
from txpanel.lessons.confusions import confusion
from txpanel.lessons.lesson import Task, Wrong
from txpanel.lessons.rendering import Pairs, said, sentence
from txpanel.lessons.situation import Situation
from txpanel.lessons.tasks import judge, options_of, right_answer
from txpanel.lessons.values import Found, evaluate, shown
from txpanel.messages import _
from txpanel.models.tokens import visible

__all__ = ["Foreseen", "foreseen", "right_shown"]


@dataclass(frozen=True)
class Foreseen:
    """A foreseen wrong answer: the answer, what is said to it, and the confusion behind it, a sentence or empty."""

    answer: Pairs
    says: Pairs
    confusion: str = ""


def right_shown(task: Task, here: Situation) -> Pairs:
    """The right answer.

    Raises:
        Unsupported: the question cannot be decided here.
    """
    right = right_answer(task, here)
    if task.kind == "choice":
        return sentence(options_of(task)[right.option].text, here)
    return _answer(right.found, task, here)


def foreseen(task: Task, here: Situation) -> list[Foreseen]:
    """The wrong answers that something is said to, in their order; one that is right here, or cannot be computed here, is left out."""
    found = []
    if task.kind == "choice":
        for option in task.options:
            if option.says and not judge(task, option.id, here).right:
                found.append(Foreseen(said(option.text, here), said(option.says, here), confusion(option.confusion)))
    for wrong in task.wrong:
        answer = _foreseen(wrong, task, here)
        if answer:
            found.append(Foreseen(answer, said(wrong.says, here), confusion(wrong.confusion)))
    return [one for one in found if one.says or one.confusion]


def _foreseen(wrong: Wrong, task: Task, here: Situation) -> Pairs:
    if not wrong.value:
        return [("", _("Any other answer"))]
    try:
        values = tuple(evaluate(expression, here) for expression in wrong.value)
        given: Any = [one.raw for one in values]
        verdict = judge(task, given if len(given) > 1 else given[0], here)
        if verdict.right or verdict.says != wrong.says:
            return []
        return _answer(values, task, here)
    except (TxpanelError, IndexError, ValueError):
        return []


def _answer(values: tuple[Found, ...], task: Task, here: Situation) -> Pairs:
    if task.kind == "number":
        return [("live", shown(values[0], here))]
    names = [visible(here.trace.tokens.strings[int(one.raw)]) for one in values]
    if task.kind == "token":
        return [("", "“"), ("token", names[0]), ("", "” "), ("", _("(token {n})").format(n=int(values[0].raw) + 1))]
    query, key = names
    return [("", _("query")), ("", " “"), ("token", query), ("", "” → "), ("", _("key")), ("", " “"), ("token", key), ("", "”")]  # fmt: skip
