"""What one request may use: refused in words, and each refusal is told by its kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from txpanel.errors import Cancelled, OverLimit, TooLong
from txpanel.models.allowance import Allowance, allowance, working_under
from txpanel.models.limits import Limits

MOST = Limits(max_tokens=10, max_tree_tokens=20, max_branches=3)


@pytest.mark.parametrize(
    ("ask", "kind", "said"),
    [
        (
            lambda a: a.check_tokens(11),
            "text",
            "11 tokens, and this server accepts at most 10. Shorten it by about 1 token.",
        ),
        (lambda a: a.check_tokens(5000), "text", "about 4,990 tokens"),
        (lambda a: a.check_characters("x" * 401), "text", "401 characters, and this server accepts at most 400"),
        (lambda a: a.check_tree(21, 1), "tree", "21 tokens, and at most 20"),
        (lambda a: a.check_tree(4, 4), "branches", "4 branches, and at most 3"),
    ],
)
def test_too_much_is_a_sentence_with_both_numbers(ask: Callable[[Allowance], None], kind: str, said: str) -> None:
    told: list[str] = []
    with pytest.raises((TooLong, OverLimit), match=said.replace("(", "[(]")):
        ask(Allowance(MOST, told.append))
    assert told == [kind]


def test_as_much_as_is_allowed_passes() -> None:
    allowed = Allowance(MOST)
    allowed.check_tokens(10)
    allowed.check_characters("x" * 400)
    allowed.check_tree(20, 3)
    allowed.check()
    Allowance().check_tokens(10**9)


def test_only_the_threads_own_work_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "thread_time", lambda: now[0])
    told: list[str] = []
    allowed = Allowance(Limits(max_seconds=60), told.append, None, 100.0)
    now[0] = 160.0
    allowed.check()
    now[0] = 160.5
    with pytest.raises(OverLimit, match="worked on this for 60 s"):
        allowed.check()
    assert told == ["time"]
    allowed.begin_again()
    allowed.check()


def test_what_nobody_wants_any_more_ends() -> None:
    cancel = threading.Event()
    allowed = Allowance(cancel=cancel)
    allowed.check()
    cancel.set()
    with pytest.raises(Cancelled):
        allowed.check()


def test_it_belongs_to_one_thread() -> None:
    mine = Allowance(MOST)
    found: list[Allowance] = []
    with working_under(mine):
        assert allowance() is mine
        other = threading.Thread(target=lambda: found.append(allowance()))
        other.start()
        other.join()
    assert found[0].limits == Limits()
    assert allowance().limits == Limits()
