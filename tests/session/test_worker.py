"""The worker: one in flight, newest wins, nothing after a cancel, no thread left behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from txpanel.session.worker import Dispatch, Worker, immediately


class Gate:
    """A job that says when it has begun and ends when it is told to."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, cancel: threading.Event, publish: Dispatch) -> None:
        self.begun.set()
        assert self.go.wait(10)
        publish(lambda: self.log.append(self.name))


def test_without_a_dispatch_jobs_run_at_once_in_the_callers_thread() -> None:
    seen: list[threading.Thread] = []
    Worker().submit(lambda cancel, publish: publish(lambda: seen.append(threading.current_thread())))
    assert seen == [threading.current_thread()]


def test_of_many_requests_the_first_and_the_newest_run_and_only_the_newest_counts() -> None:
    log: list[str] = []
    worker = Worker(immediately)
    jobs = [Gate(str(n), log) for n in range(5)]
    worker.submit(jobs[0])
    assert jobs[0].begun.wait(10)
    for job in jobs[1:]:
        worker.submit(job)
    for job in jobs:
        job.go.set()
    assert worker.wait(10)
    assert log == ["4"]
    assert [job.begun.is_set() for job in jobs] == [True, False, False, False, True]


def test_after_cancel_nothing_is_published_and_the_next_job_runs() -> None:
    log: list[str] = []
    worker = Worker(immediately)
    first, second, third = (Gate(str(n), log) for n in range(3))
    worker.submit(first)
    assert first.begun.wait(10)
    worker.submit(second)
    worker.cancel()
    first.go.set()
    assert worker.wait(10)
    third.go.set()
    worker.submit(third)
    assert worker.wait(10)
    assert log == ["2"]
    assert not second.begun.is_set()


def test_a_result_already_on_its_way_is_dropped_when_it_is_no_longer_wanted() -> None:
    """Between the worker's publish and the session's turn, the person may have typed on."""
    mailbox: queue.Queue[Callable[[], None]] = queue.Queue()
    log: list[str] = []
    worker = Worker(mailbox.put)
    worker.submit(lambda cancel, publish: publish(lambda: log.append("old")))
    stale = mailbox.get(timeout=10)
    worker.wait(10)
    worker.submit(lambda cancel, publish: publish(lambda: log.append("new")))
    fresh = mailbox.get(timeout=10)
    stale()
    fresh()
    assert log == ["new"]


def test_an_idle_worker_has_no_thread() -> None:
    before = threading.active_count()
    worker = Worker(immediately)
    for _again in range(20):
        worker.submit(lambda cancel, publish: None)
        assert worker.wait(10)
    assert worker.idle
    assert threading.active_count() == before


def test_a_job_may_start_another_in_the_callers_thread_and_is_superseded_by_it() -> None:
    log: list[str] = []
    worker = Worker()

    def outer(cancel: threading.Event, publish: Dispatch) -> None:
        worker.submit(lambda cancel, publish: publish(lambda: log.append("inner")))
        publish(lambda: log.append("outer"))

    worker.submit(outer)
    assert log == ["inner"]  # the outer one is no longer the newest


@pytest.mark.parametrize("dispatch", [None, immediately])
def test_a_job_that_raises_does_not_stop_the_worker(dispatch: Dispatch | None) -> None:
    log: list[str] = []
    worker = Worker(dispatch)

    def broken(cancel: threading.Event, publish: Dispatch) -> None:
        raise ZeroDivisionError

    if dispatch is None:
        with pytest.raises(ZeroDivisionError):
            worker.submit(broken)
    else:
        worker.submit(broken)
        worker.wait(10)
    worker.submit(lambda cancel, publish: publish(lambda: log.append("next")))
    worker.wait(10)
    assert log == ["next"]
