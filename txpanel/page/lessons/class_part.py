"""What a page has to do with a class: it leads one, follows one, or neither."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from txpanel.errors import BadLesson
from txpanel.lessons.classroom import Classroom, Place, classes
from txpanel.messages import _
from txpanel.models.environment import environment

__all__ = ["ClassPart"]


class ClassPart:
    """A page's place in a class.

    Args:
        told: called on the page's own thread when something of the class has changed.
        later: calls a function on that thread, from any other one, when the browser has the page.

    Attributes:
        room: the class; None: neither leads nor follows.
    """

    def __init__(self, told: Callable[[], None], later: Callable[[Callable[[], None]], None]) -> None:
        self.room: Classroom | None = None
        self._told, self._later = told, later
        self._page = secrets.token_hex(8)
        self._seen = Place()
        self._led = False
        self._waiting = False

    @staticmethod
    def offered() -> bool:
        """Whether a class may be begun here: the operator has said so."""
        return environment().classes

    @property
    def leads(self) -> bool:
        """Whether it is this page that leads."""
        return self.room is not None and self.room.leads(self._page)

    @property
    def follows(self) -> bool:
        """Whether somebody else leads."""
        return self.room is not None and not self.leads

    def begin(self) -> None:
        """Begins a class and leads it.

        Raises:
            BadLesson: there are none here, or too many already.
        """
        if not self.offered():
            raise BadLesson(_("There are no classes on this server."))
        if self.room is None:
            self.room = classes.begin(self._page, self._tell)
            self._led = True

    def lead(self, code: str, key: str) -> bool:
        """Leads again the class that was led from this browser's tab before it was loaded anew; whether there is one."""
        room = classes.find(code)
        if room is None or not secrets.compare_digest(room.key.encode(), key.encode()):
            return False
        self.leave()
        room.lead(self._page, self._tell)
        self.room, self._seen, self._led = room, room.place, True
        return True

    def join(self, code: str, who: str) -> None:
        """Follows a class.

        Raises:
            BadLesson: there is none of that code.
        """
        room = classes.find(code)
        if room is None:
            said = _("There is no class {code}, or it is over.")
            raise BadLesson(said.format(code=code.strip().upper()[:12]))
        if room is self.room:
            self._seen = Place()  # back to where the class is
            return
        self.leave()
        room.join(self._page, who, self._tell)
        self.room, self._seen = room, Place()

    def leave(self) -> None:
        """Leads and follows no more; a class that this page has led waits for it to come back."""
        room, self.room, self._led = self.room, None, False
        if room is not None:
            room.leave(self._page)

    def end(self) -> None:
        """Ends the class that this page leads."""
        room = self.room
        if room is not None and self.leads:
            self.room = None
            room.end()

    def show(self, place: Place) -> None:
        """Where the class is now, if this page leads it."""
        if self.room is not None:
            self.room.show(self._page, place)

    def answer(self, given: str) -> None:
        """Counts an answer, if this page follows."""
        if self.room is not None and not self.leads:
            self.room.answer(self._page, given)

    def moved(self) -> Place | None:
        """Where the class has gone since this was asked last; None: it is where it was."""
        if not self.follows or self.room is None:
            return None
        before, self._seen = self._seen, self.room.place
        return self._seen if self._seen.question != before.question else None

    def overtaken(self) -> bool:
        """Whether another page has taken over the class that this one led; True only once."""
        led, self._led = self._led, self.leads
        return led and self.follows

    def over(self) -> bool:
        """Whether the class has ended; then this page is in none any more."""
        if self.room is None or not self.room.over:
            return False
        self.room, self._led = None, False
        return True

    # -- from other pages ----------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Called by other pages, on whatever thread: once for all that changes until this page comes to it."""
        if not self._waiting:
            self._waiting = True
            self._later(self._hear)

    def _hear(self) -> None:
        self._waiting = False
        self._told()

    def facts(self) -> dict[str, Any]:
        """What the browser is told of the class: code, leads, key (for who leads), members, answered; empty without one."""
        if self.room is None:
            return {}
        found: dict[str, Any] = {"code": self.room.code, "leads": self.leads}
        if self.leads:
            count = self.room.count()
            found |= {"key": self.room.key, "members": count.members, "answered": count.answered}
        return found
