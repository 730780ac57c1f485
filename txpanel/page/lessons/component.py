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
    captions = param.Dict(
        default={}, doc="What the tour says of each part that ▶ Play comes to, for the run on screen."
    )
    classes = param.Boolean(default=False, doc="Whether a class may be begun here.")
    wanted = param.String(default="", doc="Code of the class that the address names.")
    classed = param.Dict(
        default={}, doc="The class that this page leads or follows, see `Teaching.facts`; empty: none."
    )
    qr = param.Dict(default={}, doc="An address and its QR code: rows of 0 and 1; none where it is too long.")

    _module = "lesson_box.js"
    _styles = "lesson_box.css"
