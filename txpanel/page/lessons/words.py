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
        "number": _("A number is expected here."),
        "hint": _("Hint"),
        "answer": _("Your answer"),
        "percent": _("in percent"),
        "query": _("query: the token that attends"),
        "key": _("key: the token that it attends to"),
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
        "teach": _("Teach"),
        "large": _("Large text, answers on request"),
        "large_note": _("Space or Page Down shows the answer, then the next step. For a larger picture: Ctrl and +."),
        "link": _("Link and QR code to this step"),
        "qr": _("QR code of the link"),
        "too_long": _("This link is too long for a QR code."),
        "own_address": _(
            "Only this computer can open this address. Others need a server on your network: docs/operating.md."
        ),
        "handout": _("Handout to print"),
        "handout_note": _("This lesson with the pictures and numbers of your run; the answers stand apart at its end."),
        "notebook": _("Notebook (.ipynb)"),
        "notebook_note": _("The same lesson in Jupyter, with live views and questions."),
        "making": _("The file is being made …"),
        "begin_class": _("Begin a class"),
        "class_note": _(
            "Others join by your link and follow your steps. Their answers are counted here, without names; nothing is stored."
        ),
        "no_classes": _("Classes are off on this server. Its operator can switch them on: txpanel serve --classes"),
        "end_class": _("End the class"),
        "code": _("Code of a class"),
        "join": _("Join"),
        "class_code": _("Class {code}"),
        "present_answered": _("{n} here, {m} answered"),
        "votes": _("Show the votes"),
        "votes_title": _("How the class has answered"),
        "follows": _("You follow the teacher's steps."),
        "to_class": _("Go where the class is"),
        "class_text": _("Use the class's text: “{text}”"),
        "class_model": _("Load the class's model: {model}"),
        "leave_class": _("Leave the class"),
        "counted": _("Your answer is counted. You can change it until the answer is shown."),
    }
