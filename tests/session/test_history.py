"""Back and forward."""

from __future__ import annotations

from txpanel.session.history import History


def test_back_and_forward_walk_the_trail() -> None:
    trail: History[str] = History()
    assert trail.current is None
    assert trail.back() is trail.forward() is None
    for entry in "abc":
        trail.add(entry)
    assert (trail.back(), trail.back(), trail.back()) == ("b", "a", None)
    assert trail.current == "a"
    assert trail.can_go_forward
    assert not trail.can_go_back
    assert trail.forward() == "b"


def test_something_new_drops_what_came_after() -> None:
    trail: History[str] = History()
    for entry in "abc":
        trail.add(entry)
    trail.back()
    trail.add("x")
    assert trail.entries == ["a", "b", "x"]
    assert not trail.can_go_forward


def test_the_same_again_is_no_new_entry() -> None:
    trail: History[str] = History()
    trail.add("a")
    trail.add("a")
    assert trail.entries == ["a"]


def test_replace_keeps_the_place() -> None:
    trail: History[str] = History()
    trail.replace("a")
    trail.add("b")
    trail.replace("c")
    assert trail.entries == ["a", "c"]
    assert trail.back() == "a"


def test_the_oldest_are_forgotten_and_clear_forgets_all() -> None:
    trail: History[int] = History(limit=3)
    for entry in range(10):
        trail.add(entry)
    assert trail.entries == [7, 8, 9]
    assert trail.current == 9
    trail.clear()
    assert trail.current is None
