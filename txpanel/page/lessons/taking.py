"""Switches to the model or text that a step or the class is about: it is offered, and taken only when its button is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.lessons.classroom import Place
from txpanel.lessons.lesson import Lesson, Step

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["TAKEN", "take"]

TAKEN = ("load", "text", "classmodel", "classtext")
"""Messages of the box's buttons: the model or the text of the step, or of its lesson; those of the class."""


def take(
    what: str, state: ModelState, lesson: Lesson | None, step: Step | None, at: Place | None, *, fixed: bool
) -> None:
    """Does what one of these buttons asks for; nothing where there is no such model or text.

    Args:
        at: where the class is. fixed: whether the model cannot be changed here.

    Raises:
        TxpanelError: the text is longer than allowed here, or the model is not offered.
    """
    if what.startswith("class"):
        model, text = (at.model, at.text) if at is not None else ("", "")
    else:
        model = (step.look.model if step is not None else "") or (lesson.model if lesson is not None else "")
        text = (step.look.text if step is not None else "") or (lesson.text if lesson is not None else "")
    if what in ("load", "classmodel"):
        if model and not fixed:
            state.load(model)
    elif text:
        state.allowed().check_characters(text)
        state.text = text
