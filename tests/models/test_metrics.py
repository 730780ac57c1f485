"""Figures hold numbers and our own words, whatever they are given, and counting never fails."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from txpanel.models import metrics
from txpanel.models.metrics import ALL, MOST, Counter, Gauge, Times


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ALL", dict(ALL))


def test_a_counter_counts_by_kind_and_never_down() -> None:
    counted = Counter("tried", "Tries.", "kind")
    for more in (1, 2.5, -4):
        counted.add(more, kind="beams")
    counted.add(kind="text")
    assert counted.values() == {"beams": 3.5, "text": 1}
    assert Counter("bare", "One value.").values() == {"": 0}


def test_no_text_of_a_visitor_becomes_a_label() -> None:
    counted = Counter("tried", "Tries.", "kind")
    for typed in ("My secret text", "", "<b>", 'a"} 1', "a\nb", "x" * 60):
        counted.add(kind=typed)
    assert counted.values() == {"other": 6}


def test_nobody_makes_the_list_of_kinds_grow_without_end() -> None:
    counted = Counter("tried", "Tries.", "kind")
    for number in range(3 * MOST):
        counted.add(kind=f"kind-{number}")
    assert len(counted.values()) == MOST + 1
    assert counted.values()["other"] == 2 * MOST


def test_a_gauge_asks_and_leaves_out_what_cannot_be_told() -> None:
    asked = Gauge("length", "A length.", "kind")
    waiting = [1, 2]
    asked.of(lambda: len(waiting), kind="look")
    asked.of(lambda: 1 // 0, kind="run")
    waiting.append(3)
    assert asked.values() == {"look": 3}


def test_a_gauge_may_be_told_of_all_kinds_at_once() -> None:
    asked = Gauge("held", "Bytes.", "kind")
    held = {"runs": 5, "replayed": 7}
    asked.each(lambda: held)
    held["runs"] = 6
    assert asked.values() == {"runs": 6, "replayed": 7}
    asked.each(lambda: {"runs": 1 // 0})
    assert asked.values() == {}


def test_times_fall_into_the_range_that_holds_them() -> None:
    took = Times("took_seconds", "Seconds.", bounds=(0.1, 1))
    for seconds in (0.05, 0.1, 0.5, 7):
        took.seen(seconds)
    ((kind, counts, total),) = took.values()
    assert (kind, counts, round(total, 2)) == ("", [2, 1, 1], 7.65)


def test_many_threads_lose_no_count() -> None:
    counted = Counter("tried", "Tries.")
    threads = [threading.Thread(target=lambda: [counted.add() for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.values() == {"": 8000}


def test_every_metric_is_counted_somewhere() -> None:
    """One that nobody counts is a promise of docs/operating.md that /metrics does not keep."""
    room = Path(metrics.__file__)
    code = "\n".join(path.read_text(encoding="utf-8") for path in room.parents[1].rglob("*.py") if path != room)
    named = [name for name, one in vars(metrics).items() if isinstance(one, metrics.Metric)]
    assert len(named) > 10
    assert [name for name in named if not re.search(rf"metrics\.{name}\.(add|seen|of|each)\(", code)] == []
