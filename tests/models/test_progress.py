from __future__ import annotations

import threading

import pytest

from txpanel.errors import Cancelled
from txpanel.models import progress
from txpanel.models.progress import Progress, Reporter, size_text, time_text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until the test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_rate_and_time_left(clock: list[float]) -> None:
    reports: list[Progress] = []
    reporter = Reporter(reports.append)
    reporter.start("download", "Downloading", 10_000)
    assert reports[-1].rate is None
    assert reports[-1].remaining is None
    clock[0] += 2
    reporter.update(4000)
    assert reports[-1].rate == pytest.approx(2000)
    assert reports[-1].remaining == pytest.approx(3)
    assert reports[-1].fraction == pytest.approx(0.4)
    assert str(reports[-1]) == "Downloading · 4.0 kB of 10.0 kB · 2.0 kB/s · 3 s left"


def test_rate_follows_the_last_seconds(clock: list[float]) -> None:
    reports: list[Progress] = []
    reporter = Reporter(reports.append)
    reporter.start("download", "", 10**6)
    for second in range(1, 21):
        clock[0] += 1
        reporter.update(second * 1000 if second <= 10 else 10_000 + (second - 10) * 10_000)
    assert reports[-1].rate == pytest.approx(10_000, rel=0.01)


def test_a_resumed_download_does_not_count_what_was_there(clock: list[float]) -> None:
    reports: list[Progress] = []
    reporter = Reporter(reports.append)
    reporter.start("download", "", 10_000, done=9000)
    clock[0] += 1
    reporter.update(9500)
    assert reports[-1].rate == pytest.approx(500)


def test_reports_are_rare_but_the_last_always_comes(clock: list[float]) -> None:
    reports: list[Progress] = []
    reporter = Reporter(reports.append)
    reporter.start("download", "", 1000)
    for done in range(1, 1001):
        reporter.update(done)
    assert [report.done for report in reports] == [0, 1000]


def test_cancel_raises_at_the_next_report() -> None:
    cancel = threading.Event()
    reporter = Reporter(None, cancel)
    reporter.start("download", "", 10)
    cancel.set()
    with pytest.raises(Cancelled, match="cancelled"):
        reporter.update(1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (97_300_000, "97.3 MB"), (3_247_159_078, "3.25 GB")],
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_total_unknown_says_what_is_known() -> None:
    assert str(Progress("download", 5000, message="Fetching")) == "Fetching · 5.0 kB"
    assert Progress("download", 5000).fraction is None
