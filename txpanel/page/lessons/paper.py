"""A lesson as a file to take along, made beside the page: to be printed, or as a notebook."""

from __future__ import annotations

import base64
import datetime
import logging
from collections.abc import Callable
from typing import Any

from txpanel.errors import TxpanelError
from txpanel.lessons.lesson import Lesson
from txpanel.lessons.situation import Situation
from txpanel.messages import _
from txpanel.page.lessons.component import LessonBox
from txpanel.views.background import background

__all__ = ["Paper"]

log = logging.getLogger("txpanel.page")


class Paper:
    """Makes files of lessons and hands them to the browser; the newest request wins.

    Args:
        failed: is told in words why there is no file.
    """

    def __init__(self, component: LessonBox, failed: Callable[[str], object]) -> None:
        self._component, self._failed = component, failed
        self._worker: Any = None

    def begin(self) -> None:
        """The page is there."""
        self._worker = background(waited_for=True)

    def end(self) -> None:
        """The page is gone."""
        if self._worker is not None:
            self._worker.cancel()

    def make(self, what: str, lesson: Lesson, here: Situation) -> None:
        """A handout, or a notebook where `what` says so, of the run on screen."""

        def job(_cancel: object, publish: Callable[[Callable[[], object]], None]) -> None:
            try:
                name, text = _file(what, lesson, here)
            except Exception as error:
                if not isinstance(error, TxpanelError):
                    log.exception("a lesson could not be made a file")
                said = _("The file could not be made: {error}").format(error=str(error) or type(error).__name__)
                publish(lambda: self._done({"kind": "none"}, said))
                return
            data = base64.b64encode(text.encode()).decode()
            publish(lambda: self._done({"kind": "file", "name": name, "data": data}, ""))

        self._worker.submit(job)

    def _done(self, message: dict[str, str], said: str) -> None:
        self._component.send(message)
        if said:
            self._failed(said)


def _file(what: str, lesson: Lesson, here: Situation) -> tuple[str, str]:
    # late: jinja2 and the pictures; few pages ask
    from txpanel.lessons.handout.notebook import notebook
    from txpanel.lessons.handout.page import file_name, handout

    if what == "notebook":
        model = here.trace.model.name if here.trace.model is not None else lesson.model
        return file_name(lesson, "ipynb"), notebook(lesson, model, here.trace.text, here)
    return file_name(lesson), handout(lesson, here, date=datetime.date.today().isoformat())
