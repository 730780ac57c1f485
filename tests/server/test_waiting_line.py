"""Who gets a place: in the order in which people came, past those who sleep, and nobody from outside the line before them."""

from __future__ import annotations

import pytest

from txpanel.server import waiting_line
from txpanel.server.waiting_line import AWAKE, GONE, TURN, Room, WaitingLine


class Line:
    """A line with a clock, and as many open pages as somebody says."""

    def __init__(self, most: int = 2, most_of_address: int = 0) -> None:
        self.now, self.taken = 0.0, {"a": 2}
        self.most, self.most_of_address = most, most_of_address
        self.line = WaitingLine(lambda: self.now)

    def ask(self, address: str = "b", ticket: str = "", *, enters: bool = True) -> waiting_line.Answer:
        room = Room(self.taken, self.most, self.most_of_address)
        return self.line.ask(address, ticket, room, enters=enters)


def test_while_there_is_room_nobody_waits() -> None:
    line = Line(most=3)
    assert line.ask().enter
    assert not len(line.line)
    assert Line(most=0).ask().enter  # no limit


def test_places_are_given_in_order_and_a_newcomer_does_not_overtake() -> None:
    line = Line()
    first, second, third = (line.ask() for _each in range(3))
    assert [one.place for one in (first, second, third)] == [1, 2, 3]
    assert not any(one.enter for one in (first, second, third))
    line.taken = {"a": 1}
    assert not line.ask("c").enter  # the place is the first one's
    assert not line.ask(ticket=second.ticket).enter
    assert line.ask(ticket=first.ticket, enters=False).enter  # a question takes nothing
    assert line.ask(ticket=first.ticket).enter
    line.taken = {"a": 2}
    assert [line.ask(ticket=one.ticket).place for one in (second, third)] == [1, 2]


def test_nobody_waits_for_somebody_who_sleeps_but_he_keeps_his_place() -> None:
    line = Line()
    first, second = line.ask(), line.ask()
    line.now = AWAKE + 1
    assert line.ask(ticket=second.ticket).place == 2
    line.taken = {"a": 1}
    assert line.ask(ticket=second.ticket, enters=False).enter
    assert line.ask(ticket=first.ticket, enters=False).enter
    assert not line.ask(ticket=second.ticket, enters=False).enter  # the first one is awake again
    line.now += GONE
    assert line.ask(ticket=second.ticket).enter
    assert not len(line.line)


def test_a_full_address_holds_up_nobody_else() -> None:
    line = Line(most=10, most_of_address=2)
    waits = line.ask("a")
    assert (waits.enter, waits.place) == (False, 1)
    assert line.ask("b").enter
    line.taken = {"a": 1, "b": 1}
    assert line.ask("a", waits.ticket).enter


def test_a_ticket_that_is_made_up_counts_as_none() -> None:
    line = Line()
    real = line.ask()
    forged = line.ask(ticket="made-up")
    assert forged.place == 2
    assert forged.ticket not in ("made-up", real.ticket)


def test_the_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_line, "LONGEST", 5)
    monkeypatch.setattr(waiting_line, "LONGEST_OF_ADDRESS", 3)
    line = Line()
    answers = [line.ask("b") for _each in range(4)]
    assert [bool(one.ticket) for one in answers] == [True, True, True, False]
    answers = [line.ask("c") for _each in range(3)]
    assert [bool(one.ticket) for one in answers] == [True, True, False]
    assert len(line.line) == 5


def test_who_is_called_and_does_not_come_loses_his_turn() -> None:
    """Somebody held 3 free places of 3 for as long as he liked: he asked with his tickets and never entered."""
    line = Line(most=2)
    idle, honest = line.ask(), line.ask("c")
    line.taken = {"a": 1}
    while line.now < TURN:
        assert line.ask(ticket=idle.ticket, enters=False).enter
        assert not line.ask("c", honest.ticket, enters=False).enter
        line.now += 5
    line.now += 1
    assert line.ask("c", honest.ticket, enters=False).enter
    again = line.ask(ticket=idle.ticket, enters=False)
    assert (again.enter, again.ticket == idle.ticket) == (False, False)  # he is the last one now
    assert line.ask("c", honest.ticket).enter


def test_who_was_called_and_whose_place_was_lost_again_is_still_the_first() -> None:
    line = Line(most=2)
    first = line.ask()
    line.taken = {"a": 1}
    assert line.ask(ticket=first.ticket, enters=False).enter
    line.now, line.taken = 10, {"a": 2}  # a page came back whose line was broken
    assert not line.ask(ticket=first.ticket, enters=False).enter
    line.now = TURN + 10
    assert line.ask(ticket=first.ticket).place == 1


def test_where_the_server_is_full_a_long_line_costs_no_more_than_a_short_one() -> None:
    """A thousand who wait ask two hundred times a second, on the server's one thread."""
    line, looks = Line(most=2), 0

    class Counting(dict[str, int]):
        def get(self, *given: object) -> int:  # type: ignore[override]
            nonlocal looks
            looks += 1
            return 0

    first = line.ask()
    for _each in range(200):
        line.ask()
    line.taken = Counting(line.taken)
    assert line.ask(ticket=first.ticket).place == 1
    assert looks <= 1


def test_whose_address_alone_has_no_place_is_told_so() -> None:
    taken = {"a": 2, "b": 1}
    assert Room(taken, 10, 2).refuses_only("a")
    assert not Room(taken, 10, 2).refuses_only("b")
    assert Room(taken, 10, 0, frozenset("b")).refuses_only("b")  # too many of its sessions are kept
    assert not Room(taken, 3, 2, frozenset("b")).refuses_only("a")  # nobody has one
    assert not Room(taken, 3, 2, frozenset("b")).refuses_only("b")
