"""The browser side of lessons."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["LessonBox"]


class LessonBox(Messenger):
    """The box that leads through a lesson, and the light on what it speaks of. It stands over the page; closed it is nothing."""

    words = param.Dict(default={}, doc="All texts of the box.")
    lessons = param.List(default=[], doc="The lessons that there are: id, title, minutes, steps (ids).")
    shown = param.Dict(
        default={},
        doc="The step that is shown, see `txpanel.page.lessons.shown`; empty: no lesson is open.",
    )

    _module = "lesson_box.js"
    _styles = "lesson_box.css"
