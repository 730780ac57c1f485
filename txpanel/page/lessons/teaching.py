"""What somebody who teaches needs beside the lesson itself: a class, a link with its QR code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txpanel.errors import BadLesson
from txpanel.lessons.classroom import Place
from txpanel.messages import _
from txpanel.models.catalogue import find
from txpanel.page.lessons.class_part import ClassPart
from txpanel.page.lessons.component import LessonBox
from txpanel.page.lessons.votes import DONE, label, rows

if TYPE_CHECKING:
    from txpanel.lessons.lesson import Task
    from txpanel.lessons.situation import Situation

__all__ = ["Teaching"]

LONGEST_LINK = 1500
"""Characters: a code of more cannot be read from the last row."""
LONGEST_TEXT = 2000
LONGEST_CODE = 12
"""What somebody has typed for a code; a sentence says that there is no such class."""


class Teaching:
    """The class that a page leads or follows, and what the box is told of it.

    Args:
        component: the box. told, later: as those of `ClassPart`. fixed: whether the model cannot be changed here.
    """

    KINDS = ("class", "join", "lead", "leave", "end", "qr")

    def __init__(
        self,
        component: LessonBox,
        told: Callable[[], None],
        later: Callable[[Callable[[], None]], None],
        *,
        fixed: bool = False,
    ) -> None:
        self.part = ClassPart(told, later)
        self._fixed = fixed
        self.wanted = ""  # the code of the address, until the browser has said who it is
        self._component = component
        component.classes = self.part.offered()

    # -- what the browser asks for -----------------------------------------------------------------------------------------

    def hear(self, kind: str, data: dict[str, Any]) -> None:
        """Does what one of `KINDS` asks for.

        Raises:
            TxpanelError: it cannot be done; in words.
        """
        getattr(self, f"_{kind}")(data)

    def _class(self, _data: dict[str, Any]) -> None:
        self.part.begin()

    def _join(self, data: dict[str, Any]) -> None:
        self.wanted = ""
        self.part.join(str(data.get("code", "")), str(data.get("who", "")))

    def _lead(self, data: dict[str, Any]) -> None:
        self.wanted = ""
        if not self.part.lead(str(data.get("code", "")), str(data.get("key", ""))):
            raise BadLesson(_("The class is over."))

    def _leave(self, _data: dict[str, Any]) -> None:
        if self.part.follows:  # whoever leads ends the class
            self.part.leave()

    def _end(self, _data: dict[str, Any]) -> None:
        self.part.end()

    def _qr(self, data: dict[str, Any]) -> None:
        address = data.get("address")
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            return
        import segno  # late: 60 ms, and few pages ask

        code = segno.make(address, error="m", micro=False) if len(address) <= LONGEST_LINK else None
        matrix = [] if code is None else ["".join(str(int(one > 0)) for one in row) for row in code.matrix]
        self._component.qr = {"address": address, "rows": matrix}

    # -- the class -----------------------------------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """Of the class that this page is in, or wants to join; for the address."""
        return self.part.room.code if self.part.room is not None else self.wanted

    def want(self, code: str) -> None:
        """The address names a class: the browser says who it is there, and then it is joined."""
        code = code.strip().upper()[:LONGEST_CODE]
        if code.isalnum():
            self.wanted = self._component.wanted = code

    def shows(self) -> bool:
        """Whether the class shows what is right."""
        return self.part.room is not None and self.part.room.place.shown

    def here(self, lesson: str, step: str) -> bool:
        """Whether the class is at a step."""
        return self.part.room is not None and self.part.room.place.question == f"{lesson}/{step}"

    def answered(self, task: Task, answer: Any) -> None:
        """A follower has answered, with what `judge` takes."""
        self.part.answer(label(task, answer))

    def done(self) -> None:
        """A follower has done what was to be done."""
        self.part.answer(DONE)

    def show(self, lesson: str, step: str, here: Situation | None, *, shown: bool) -> None:
        """Tells the class the step that this page, which leads it, is at."""
        if not self.part.leads:
            return
        model, text = "", ""
        if here is not None:
            running = here.trace.model.name if here.trace.model is not None else ""
            model = running if find(running) is not None else ""  # not the path of a folder of the one who leads
            text = here.trace.text if len(here.trace.text) <= LONGEST_TEXT else ""
        self.part.show(Place(lesson, step, model, text, shown))

    def facts(
        self, lesson: str, step: str, task: Task | None, here: Situation | None, *, shown: bool
    ) -> dict[str, Any]:
        """What the box is told: `ClassPart.facts`; of who leads the answers, of who follows where the class is, its text and its model."""
        found, room = self.part.facts(), self.part.room
        if room is None:
            return {}
        if self.part.leads:
            if task is not None and here is not None:
                found["votes"] = rows(task, here, room.count(), shown=shown)
            return found
        text = room.place.text
        other = here is not None and bool(text) and not here.trace.text.startswith(text)
        return found | {
            "here": self.here(lesson, step),
            "shown": room.place.shown,
            "text": text if other else "",
            "model": self._other_model(room.place.model, here),
        }

    def _other_model(self, name: str, here: Situation | None) -> str:
        """The title of the class's model where another one is on screen; empty where it is the same, or cannot be changed."""
        entry = find(name) if name and not self._fixed and here is not None else None
        if entry is None or here is None or here.trace.model is None or here.trace.model.name == name:
            return ""
        return entry.title
