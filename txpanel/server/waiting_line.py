"""Who may open a page when places are few: those who wait come first, in the order in which they came.

A page that waits asks again every few seconds, with its ticket. One that does not ask for a while (a tab in the background asks
once a minute) keeps its place, but nobody waits for it.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Answer", "Room", "WaitingLine"]

AWAKE = 12.0
"""A free place is kept for a visitor in the line who has asked within so many seconds."""
TURN = 20.0
"""Seconds that a visitor has to enter once a place is free for him; else tickets that nobody uses would keep all places empty."""
GONE = 180.0
"""Seconds without a request after which a visitor counts as gone."""
LONGEST = 1000
LONGEST_OF_ADDRESS = 200
"""Most visitors in the line, in all and of one address."""


@dataclass(frozen=True)
class Room:
    """How many places there are.

    Attributes:
        taken: open pages of each address, now. most: places in all, 0: any number. most_of_address: for each address, likewise.
        closed: addresses that get no place now, however many are free.
    """

    taken: Mapping[str, int]
    most: int
    most_of_address: int
    closed: frozenset[str] = frozenset()

    def full(self, more: Mapping[str, int]) -> bool:
        """Whether there is no place left, once `more` (by address) are taken."""
        return bool(self.most) and sum(self.taken.values()) + sum(more.values()) >= self.most

    def fits(self, address: str, more: Mapping[str, int]) -> bool:
        """Whether there is a place for another page of an address, once `more` (by address) are taken."""
        if address in self.closed:
            return False
        here = self.taken.get(address, 0) + more.get(address, 0)
        return not self.full(more) and (not self.most_of_address or here < self.most_of_address)

    def refuses_only(self, address: str) -> bool:
        """Whether there are places, but none for this address."""
        return not self.full({}) and not self.fits(address, {})


@dataclass(frozen=True)
class Answer:
    """The answer to a visitor who wants to open a page.

    Attributes:
        enter: whether there is a place now. ticket: with which to ask again; empty: the line is full, too.
        place: in the line, 1 for the next one.
    """

    enter: bool
    ticket: str = ""
    place: int = 0


@dataclass(slots=True)
class _Ticket:
    address: str
    seen: float
    called: float | None = None  # when its visitor was first told of a free place


def _over(one: _Ticket, now: float) -> bool:
    return now - one.seen >= GONE or (one.called is not None and now - one.called > TURN)


class WaitingLine:
    """The line of a server. Used on the server's thread only.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line: dict[str, _Ticket] = {}  # by ticket, in order

    def __len__(self) -> int:
        return len(self._line)

    def ask(self, address: str, ticket: str, room: Room, *, enters: bool) -> Answer:
        """Whether there is a place.

        Args:
            address: whose page it is. ticket: from an earlier answer; an unknown one counts as none.
            enters: whether the page is opened where there is a place; else the question is only how things stand.
        """
        now = self._clock()
        self._line = {name: one for name, one in self._line.items() if not _over(one, now)}
        mine = self._line.get(ticket)
        if mine is not None:
            mine.seen = now
            address = mine.address
        given = Counter[str]()
        for name, one in self._line.items():
            if room.full(given):  # nearly always at once, however long the line is
                break
            if now - one.seen > AWAKE or not room.fits(one.address, given):
                continue
            if name == ticket:
                return self._come(ticket, now, enters)
            given[one.address] += 1
        if mine is None and room.fits(address, given):
            return Answer(True)
        if mine is not None:
            mine.called = None
        return self._wait(address, ticket, now)

    def _come(self, ticket: str, now: float, enters: bool) -> Answer:
        place, mine = list(self._line).index(ticket) + 1, self._line[ticket]
        if mine.called is None:
            mine.called = now
        if enters:
            del self._line[ticket]
        return Answer(True, ticket, place)

    def _wait(self, address: str, ticket: str, now: float) -> Answer:
        if ticket not in self._line:
            of_address = sum(one.address == address for one in self._line.values())
            if len(self._line) >= LONGEST or of_address >= LONGEST_OF_ADDRESS:
                return Answer(False)
            ticket = secrets.token_urlsafe(12)
            self._line[ticket] = _Ticket(address, now)
        return Answer(False, ticket, list(self._line).index(ticket) + 1)
