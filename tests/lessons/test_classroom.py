"""A class without a page: who leads, who follows, what is counted, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from txpanel.errors import BadLesson
from txpanel.lessons import classroom as module
from txpanel.lessons.classroom import CODE, MOST, Classes, Place

HERE = Place("attention", "weights")
WHO = ["0123456789abcdef", "fedcba9876543210", "0000000000000000"]


class Told:
    """Counts how often it was told."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


@pytest.fixture
def classes() -> Classes:
    return Classes()


def test_followers_are_brought_where_the_leader_goes_and_late_ones_come_in_there(classes: Classes) -> None:
    leader, early, late = Told(), Told(), Told()
    room = classes.begin("t", leader)
    assert CODE.fullmatch(room.code)
    room.join("a", WHO[0], early)
    room.show("t", HERE)
    assert early.n == 1
    found = classes.find(f" {room.code.lower()} ")
    assert found is room
    room.join("b", WHO[1], late)
    assert room.place == HERE
    assert room.count().members == 2
    room.show("t", HERE)  # nothing new
    assert (early.n, late.n) == (1, 0)


def test_a_code_is_found_however_it_was_typed(classes: Classes) -> None:
    room = classes.begin("leader", lambda: None)
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in room.code)  # as a Japanese keyboard writes it
    for typed in (room.code.lower(), f" {room.code[:3]} {room.code[3:]} ", wide):
        assert classes.find(typed) is room
    for typed in ("", room.code[:-1], "\ud800" + room.code, room.code * 1000):
        assert classes.find(typed) is None


def test_nobody_else_can_lead(classes: Classes) -> None:
    room = classes.begin("t", Told())
    room.join("a", WHO[0], Told())
    room.show("a", HERE)
    room.show("x", HERE)
    assert room.place == Place()
    assert not room.leads("a")


def test_when_a_copy_of_the_leaders_tab_takes_over_the_first_tab_follows_without_being_counted(
    classes: Classes,
) -> None:
    before, after = Told(), Told()
    room = classes.begin("t", before)
    room.show("t", HERE)
    room.lead("copy", after)
    assert before.n == 1
    assert (room.leads("t"), room.leads("copy")) == (False, True)
    room.show("copy", Place("attention", "mask"))
    assert before.n == 2
    room.answer("t", "right")
    room.join("t", WHO[0], before)
    room.answer("t", "right")
    assert (room.count().members, room.count().answered) == (1, 1)  # once it says who it is, it is one of the class
    room.lead("copy", after)
    assert before.n == 2  # the same page again: nothing has changed
    room.leave("copy")
    assert room.waits()


def test_a_follower_with_two_pages_counts_once(classes: Classes) -> None:
    room = classes.begin("t", Told())
    room.show("t", HERE)
    for page in "ab":
        room.join(page, WHO[0], Told())
        room.answer(page, page)
    count = room.count()
    assert (count.members, dict(count.answers)) == (1, {"b": 1})
    room.leave("a")
    assert room.count().members == 1


def test_each_counts_once_with_the_last_answer_also_after_a_reload(classes: Classes) -> None:
    leader = Told()
    room = classes.begin("t", leader)
    room.show("t", HERE)
    for page, who in zip("abc", WHO, strict=True):
        room.join(page, who, Told())
        room.answer(page, "left")
    room.answer("a", "right")
    before = leader.n
    room.answer("a", "right")
    assert leader.n == before  # nothing has changed
    room.leave("b")
    room.join("b2", WHO[1], Told())  # loaded anew
    room.answer("b2", "right")
    room.answer("nobody", "right")
    count = room.count()
    assert (count.members, count.answered, dict(count.answers)) == (3, 3, {"right": 2, "left": 1})
    room.join("b2", "f" * 16, Told())  # a page that calls itself somebody else
    room.answer("b2", "left")
    assert room.count().answered == 3
    room.show("t", Place("attention", "mask"))
    assert room.count().answered == 0
    room.show("t", Place("attention", "weights", shown=True))
    assert room.count().answered == 3  # whoever leads has come back to it


@pytest.mark.parametrize("who", ["", "x", "<b>", "0123456789ABCDEF", "0123456789abcdef0"])
def test_followers_have_ids_of_16_digits(classes: Classes, who: str) -> None:
    room = classes.begin("t", Told())
    with pytest.raises(BadLesson):
        room.join("a", who, Told())
    assert room.count().members == 0


def test_a_class_whose_leader_is_gone_waits_and_then_ends(classes: Classes, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    room = classes.begin("t", Told())
    room.join("a", WHO[0], ended.set)
    room.leave("t")
    assert not room.over
    assert ended.wait(20)
    assert room.over
    assert classes.find(room.code) is None


def test_a_leader_who_comes_back_leads_on(classes: Classes, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[Callable[[], object]] = []

    class Timer:
        daemon = False

        def __init__(self, _seconds: float, act: Callable[[], object]) -> None:
            timers.append(act)

        def start(self) -> None: ...

        def cancel(self) -> None: ...

    monkeypatch.setattr(module.threading, "Timer", Timer)
    room = classes.begin("t", Told())
    room.leave("t")
    room.lead("t2", Told())
    timers[0]()  # too late to be cancelled
    assert not room.over
    room.show("t2", HERE)
    assert room.place == HERE
    room.leave("t")  # the page of before is let go of later
    assert room.leads("t2")


def test_the_number_of_classes_is_limited(classes: Classes) -> None:
    rooms = [classes.begin(str(n), Told()) for n in range(MOST)]
    assert len({room.code for room in rooms}) == MOST
    with pytest.raises(BadLesson, match="40 classes"):
        classes.begin("one more", Told())
    rooms[0].end()
    classes.begin("one more", Told())
    rooms[7].leave("7")  # it waits for its leader, and makes way
    rooms[9].leave("9")
    classes.begin("another one", Told())
    assert (rooms[7].over, rooms[8].over, rooms[9].over) == (True, False, False)
    rooms[9].end()


def test_answers_of_many_threads_at_once_are_all_counted(classes: Classes) -> None:
    room = classes.begin("t", Told())
    room.show("t", HERE)

    def one(n: int) -> None:
        room.join(f"p{n}", f"{n:016x}", Told())
        for again in range(20):
            room.answer(f"p{n}", str((n + again) % 4))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = room.count()
    assert (count.members, count.answered) == (32, 32)
    assert dict(count.answers) == {str(k): 8 for k in range(4)}
