"""The answers of a class as the box of the one who leads it draws them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from txpanel.errors import TxpanelError
from txpanel.lessons.classroom import Count
from txpanel.lessons.lesson import Task
from txpanel.lessons.situation import Situation
from txpanel.lessons.tasks import as_shares, judge, ordered, right_answer
from txpanel.messages import _
from txpanel.models.tokens import visible

__all__ = ["DONE", "label", "rows"]

DONE = "done"
"""What counts as the answer to a task “do”."""
MOST = 8
"""Of numbers, tokens and cells the most frequent ones."""


def label(task: Task, answer: Any) -> str:
    """An answer that `judge` has taken, as a class counts it: equal answers are one."""
    if task.kind == "choice":
        return str(answer)
    given = answer if isinstance(answer, list | tuple) else [answer]
    return ",".join(f"{float(one) + 0.0:.4g}" if task.kind == "number" else str(int(one)) for one in given)


def rows(task: Task, here: Situation, count: Count, *, shown: bool) -> list[dict[str, Any]]:
    """What was answered how often: option (of a choice), text (of others), n, and once the answer is shown whether it is right.

    A choice has all its options, in their order; of other tasks there are the most frequent answers.
    """
    if task.kind == "choice":
        right = ""
        with suppress(TxpanelError):
            right = right_answer(task, here).option
        return [
            {"option": one.id, "n": count.answers.get(one.id, 0), "right": shown and one.id == right}
            for one in ordered(task, here)
        ]
    if task.kind == "do":
        return [{"text": _("done"), "n": count.answers.get(DONE, 0), "right": False}]
    often = sorted(count.answers.items(), key=lambda item: (-item[1], item[0]))[:MOST]
    return [
        {"text": _said(task, given, here), "n": n, "right": shown and _is_right(task, given, here)}
        for given, n in often
    ]


def _said(task: Task, given: str, here: Situation) -> str:
    parts = given.split(",")
    if task.kind == "number":
        number = float(parts[0])
        return f"{number * 100:.4g} %" if as_shares(task, here) else f"{number:.4g}"
    names = dict(enumerate(here.trace.tokens.strings))  # who follows may have a longer text
    return " → ".join(f"{at + 1} · {visible(names[at])}" if at in names else str(at + 1) for at in map(int, parts))


def _is_right(task: Task, given: str, here: Situation) -> bool:
    values = [float(one) for one in given.split(",")]
    try:
        return judge(task, values if task.kind == "cell" else values[0], here).right
    except TxpanelError:
        return False
