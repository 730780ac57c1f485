"""A class: one person leads through a lesson, the others follow and answer.

It exists in this process as long as somebody leads it. Nothing of it is stored, and nothing in it is personal: a follower is a random
id that the browser has made for this class, so that a reloaded page does not count twice.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from txpanel.errors import BadLesson
from txpanel.messages import _

__all__ = ["CODE", "Classes", "Classroom", "Count", "Place", "classes"]

LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""The letters of codes, which are read aloud and typed: no two look alike."""
LENGTH = 6
CODE = re.compile(f"[{LETTERS}]{{{LENGTH}}}")
WHO = re.compile(r"[0-9a-f]{16}")
LOOKS_ON = ""
"""The follower id of a page that gets updates but is not counted."""
MOST = 40
"""Classes at a time."""
MOST_VOTERS = 1000
"""Answers of a class that are counted at most."""
PATIENCE = 600.0
"""Seconds for which a class waits for the one who leads it, whose page may have been closed by mistake."""

Tell = Callable[[], object]


@dataclass(frozen=True)
class Place:
    """Where a class is.

    Attributes:
        lesson, step: ids. model: name in the catalogue, else empty. text: of the one who leads, which followers are offered.
        shown: whether the answer of the step's question is shown.
    """

    lesson: str = ""
    step: str = ""
    model: str = ""
    text: str = ""
    shown: bool = False

    @property
    def question(self) -> str:
        """The key under which the answers to its question are counted."""
        return f"{self.lesson}/{self.step}"


@dataclass(frozen=True)
class Count:
    """Numbers of a class: followers with an open page, how many have answered the question of its place, and how often each answer was given."""

    members: int
    answered: int
    answers: Mapping[str, int]


class Classroom:
    """One class. All methods may be called from any thread; callbacks run in the thread that has changed something.

    Attributes:
        code: by which it is joined. key: whoever has it may lead. place: where it is. over: whether it has ended.
    """

    def __init__(self, code: str, on_over: Callable[[Classroom], None]) -> None:
        self.code, self.key = code, secrets.token_urlsafe(18)
        self.place = Place()
        self.over = False
        self._on_over = on_over
        self._lock = threading.Lock()
        self._leader: tuple[str, Tell] | None = None
        self._members: dict[str, tuple[str, Tell]] = {}  # by page: who it is, and how it is told
        self._answers: dict[str, dict[str, str]] = {}  # by question: who gave which answer
        self._alone: threading.Timer | None = None

    # -- who leads -----------------------------------------------------------------------------------------------------------

    def lead(self, page: str, tell: Tell) -> None:
        """A page leads from now on. The page that led before, such as a copy of the tab, still gets updates, but is not counted."""
        with self._lock:
            before, self._leader = self._leader, (page, tell)
            self._members.pop(page, None)
            if before is not None and before[0] != page:
                self._members[before[0]] = (LOOKS_ON, before[1])
            alone, self._alone = self._alone, None
        if alone is not None:
            alone.cancel()
        if before is not None and before[0] != page:
            before[1]()

    def leads(self, page: str) -> bool:
        """Whether it is this page that leads: another one may have taken over."""
        return self._leader is not None and self._leader[0] == page

    def waits(self) -> bool:
        """Whether nobody leads it at the moment."""
        return self._leader is None

    def show(self, page: str, place: Place) -> None:
        """Brings the class to a place, if this page leads it; the followers are told."""
        with self._lock:
            if place == self.place or not self.leads(page):
                return
            self.place = place
            told = [tell for _who, tell in self._members.values()]
        for tell in told:
            tell()

    def end(self) -> None:
        """End the class: all its pages are told, and its answers are deleted."""
        with self._lock:
            if self.over:
                return
            self.over = True
            told = [tell for _who, tell in self._members.values()]
            told += [self._leader[1]] if self._leader is not None else []
            self._members, self._answers, self._leader = {}, {}, None
        self._on_over(self)
        for tell in told:
            tell()

    # -- who follows ---------------------------------------------------------------------------------------------------------

    def join(self, page: str, who: str, tell: Tell) -> None:
        """A page follows from now on.

        Args:
            page: id of the page. who: id of the follower, 16 hexadecimal digits that the browser has made.

        Raises:
            BadLesson: ``who`` is not such an id.
        """
        if not WHO.fullmatch(who):
            raise BadLesson(_("This is not how a class is joined."))
        with self._lock:
            known = self._members.get(page)
            self._members[page] = (known[0] or who if known else who, tell)  # one page, one answer
        self._tell_leader()

    def leave(self, page: str) -> None:
        """A page is closed. Its answers still count, since it may be reloaded. If it led, the class waits `PATIENCE` seconds, then ends."""
        with self._lock:
            self._members.pop(page, None)
            if self.leads(page) and not self.over:
                self._leader = None
                self._alone = threading.Timer(PATIENCE, self._end_if_alone)
                self._alone.daemon = True
                self._alone.start()
        self._tell_leader()

    def answer(self, page: str, answer: str) -> None:
        """Counts an answer to the question of the class's place, instead of the one that was given before, until the answer is shown."""
        with self._lock:
            who = self._members[page][0] if page in self._members else LOOKS_ON
            if who == LOOKS_ON or self.place.shown:  # what is right is on everybody's screen
                return
            given = self._answers.setdefault(self.place.question, {})
            if who not in given and len(given) >= MOST_VOTERS:
                return
            if given.get(who) == answer:
                return
            given[who] = answer
        self._tell_leader()

    def count(self) -> Count:
        """The numbers for its present place."""
        with self._lock:
            given = self._answers.get(self.place.question, {})
            here = {who for who, _tell in self._members.values()} - {LOOKS_ON}  # one who has two pages open is one
            return Count(len(here), len(given), Counter(given.values()))

    def _tell_leader(self) -> None:
        leader = self._leader
        if leader is not None:
            leader[1]()

    def _end_if_alone(self) -> None:
        if self._leader is None:
            self.end()


class Classes:
    """The classes of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, Classroom] = {}

    def begin(self, page: str, tell: Tell) -> Classroom:
        """Begin a class that a page leads. If there are too many, one without a leader is ended.

        Raises:
            BadLesson: there are too many that are led.
        """
        if len(self._all) >= MOST and (
            waiting := next((room for room in list(self._all.values()) if room.waits()), None)
        ):
            waiting.end()
        with self._lock:
            if len(self._all) >= MOST:
                raise BadLesson(_("There are {n} classes on this server already; try again later.").format(n=MOST))
            code = self._code()
            room = self._all[code] = Classroom(code, self._forget)
        room.lead(page, tell)
        return room

    def find(self, code: str) -> Classroom | None:
        """The class of a code, however it was typed (small letters, blanks, the wide letters of a Japanese keyboard); None where there is none."""
        with self._lock:
            return self._all.get("".join(unicodedata.normalize("NFKC", code).split()).upper())

    def _forget(self, room: Classroom) -> None:
        with self._lock:
            self._all.pop(room.code, None)

    def _code(self) -> str:
        while True:
            code = "".join(secrets.choice(LETTERS) for _at in range(LENGTH))
            if code not in self._all:
                return code


classes = Classes()
"""The classes of this process."""
