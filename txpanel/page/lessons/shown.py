"""A lesson's step as plain data for the box, made from the lesson and the present state of the session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from txpanel.errors import TxpanelError
from txpanel.lessons import rendering
from txpanel.lessons.answers import right_shown
from txpanel.lessons.conditions import holds, missing
from txpanel.lessons.confusions import confusion
from txpanel.lessons.lesson import Lesson, Step
from txpanel.lessons.situation import Situation
from txpanel.lessons.tasks import Verdict
from txpanel.messages import _
from txpanel.models.catalogue import find

__all__ = ["Answered", "shown"]


@dataclass
class Answered:
    """Progress in the task of the step that is shown.

    Attributes:
        done: answered rightly, or done. verdict: on the last answer. hints: how many were asked for. revealed: the answer was asked for.
        tries: wrong answers so far. given: the last answer. begun: how everything stood when the step began (`goals.facts`).
        cell: the cell of the last question. run: the run that the last answer was about (`Trace.uid`).
    """

    done: bool = False
    verdict: Verdict | None = None
    hints: int = 0
    revealed: bool = False
    tries: int = 0
    given: Any = None
    begun: dict[str, float | str] = field(default_factory=dict)
    cell: dict[str, int] = field(default_factory=dict)
    run: int = 0

    def on(self, run: int) -> None:
        """Another run is shown: what was wrong on the one before may be right on it, so nothing is said of it any more."""
        if run != self.run and not self.done:
            self.verdict = None


def shown(
    lesson: Lesson,
    steps: Sequence[Step],
    step: Step,
    here: Situation | None,
    answered: Answered,
    *,
    fixed: bool = False,
    held: bool = False,
) -> dict[str, Any]:
    """What the box draws.

    Args:
        held: whether what is right waits until the one who leads the class shows it.

    Returns:
        lesson, title, steps (ids), step, i, heading and paragraphs, lit, hidden, play, needs, load, text, task, done, verdict, given,
        held, hints, after, revealed.
    """
    found: dict[str, Any] = {
        "lesson": lesson.id,
        "title": lesson.title,
        "steps": [one.id for one in steps],
        "step": step.id,
        "i": steps.index(step),
        "heading": rendering.heading(step, here),
        "paragraphs": rendering.paragraphs(step.blocks, here),
        "lit": list(step.look.lit),
        "hidden": [],
        "play": step.look.play,
        "needs": "",
        "load": None,
        "text": "",
        "task": None,
        "done": answered.done,
        "given": None,
        "held": False,
        "busy": here is None,
    }
    if here is None:
        return found
    found |= _wanted(lesson, step, here)
    if fixed and found["load"]:
        found["needs"] = _("This lesson is about another model: {model}.").format(model=found["load"]["title"])
        found["load"] = None
    if lesson.needs and not holds(lesson.needs, here):
        found["needs"] = _("This lesson needs a model with: {parts}.").format(
            parts=", ".join(missing(lesson.needs, here))
        )
    task = step.task
    if task is None and not (found["needs"] or found["load"] or found["text"]):
        found["hidden"] = list(step.look.hidden)  # for a question that comes later
    if task is None or found["needs"] or found["load"] or found["text"] or not rendering.decidable(task, here):
        return found
    found["task"] = rendering.task_shown(task, here)
    found["hints"] = [rendering.said(hint, here) for hint in task.hints[: answered.hints]]
    found["revealed"] = _right(step, here) if answered.revealed and task.kind != "do" else ""
    found["given"], found["held"] = answered.given, held and task.kind != "do"
    if found["held"]:
        found["hidden"] = list(step.look.hidden)
        return found
    finished = answered.done or answered.revealed
    found["hidden"] = [] if finished else list(step.look.hidden)
    found["after"] = rendering.paragraphs(task.after, here) if finished else []
    if answered.verdict is not None:
        found["verdict"] = {
            "right": answered.verdict.right,
            "says": rendering.said(answered.verdict.says, here),
            "confusion": confusion(answered.verdict.confusion),
            "tries": answered.tries,
            "given": answered.given,
        }
    return found


def _wanted(lesson: Lesson, step: Step, here: Situation) -> dict[str, Any]:
    """The model and the text that the step is about, where others are on screen: a button offers them."""
    model = step.look.model or lesson.model
    running = here.trace.model.name if here.trace.model is not None else ""
    if model and model != running:
        entry = find(model)
        return {"load": {"name": model, "title": entry.title if entry is not None else model}}
    text = step.look.text or lesson.text
    return {"text": text} if text and not here.trace.text.startswith(text) else {}


def _right(step: Step, here: Situation) -> str:
    """The right answer as a person reads it."""
    assert step.task is not None
    try:
        return rendering.plain_text(right_shown(step.task, here))
    except TxpanelError:
        return ""
