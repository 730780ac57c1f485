"""The texts of the box that leads through a lesson."""

from __future__ import annotations

from txpanel.messages import _

__all__ = ["lesson_words"]


def lesson_words() -> dict[str, str]:
    """All texts of `LessonBox`."""
    return {
        "label": _("Lesson"),
        "next": _("Next"),
        "back": _("Back"),
        "close": _("Leave the lesson (Esc)"),
        "end": _("Done"),
        "of": _("Step {i} of {n}"),
        "progress": _("Steps of this lesson"),
        "lessons": _("Lessons"),
        "minutes": _("{n} min"),
        "taken": _("done"),
        "check": _("Check"),
        "hint": _("Hint"),
        "answer": _("Your answer"),
        "percent": _("in percent"),
        "query": _("who looks (query)"),
        "key": _("at whom (key)"),
        "choose": _("choose"),
        "right": _("Right."),
        "wrong": _("Not quite."),
        "confusion": _("A common confusion: {confusion}"),
        "reveal": _("Show the answer"),
        "revealed": _("The answer is {answer}."),
        "try_it": _("Try it:"),
        "predict": _("Predict:"),
        "did_it": _("Well done."),
        "load": _("Load {model}"),
        "text": _("Use “{text}”"),
        "keys": _("← and → go through the steps, Esc leaves."),
        "hidden": "?",
    }
