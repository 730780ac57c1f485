"""The two addresses on a real server of Bokeh's, under a prefix and with a login."""

from __future__ import annotations

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
from bokeh.application import Application
from bokeh.server import urls
from bokeh.server.server import Server
from tornado.ioloop import IOLoop

from tests.server.served import stop
from txpanel.server import health, operator_pages

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """A server with ``--prefix class`` in a thread of its own."""
    monkeypatch.setattr(health, "state", health.Health())
    operator_pages.install()
    started = Queue[tuple[Server, IOLoop]]()

    def run() -> None:
        loop = IOLoop()
        server = Server({"/txpanel": Application()}, port=0, address="127.0.0.1", prefix="class", io_loop=loop)
        server.start()
        started.put((server, loop))
        loop.start()
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    server, loop = started.get(timeout=30)

    def ask(path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    yield ask

    loop.add_callback(stop, server, loop)
    thread.join(10)


def test_the_addresses_stand_once_in_the_list_that_servers_are_made_from() -> None:
    operator_pages.install()
    operator_pages.install()
    names = [pattern[0] for pattern in urls.toplevel_patterns]
    assert names.count("/health") == names.count("/metrics") == 1


def test_both_answer_under_the_prefix(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        code, body = ask("/class/health")
        assert (code, json.loads(body)["status"]) == (503, "loading")
        health.state.tell("ready")
        code, body = ask("/class/health")
        assert (code, json.loads(body)["status"]) == (200, "ready")
        assert set(json.loads(body)) == {"status", "seconds"}
        code, body = ask("/class/metrics")
        assert code == 200
        assert "\ntxpanel_ready 1.0\n" in body
        assert "\ntxpanel_sessions 0.0\n" in body
        assert ask("/health")[0] == 404
    assert "/class/health" not in caplog.text  # asked every few seconds: no line each


def test_several_processes_on_one_port_are_named_as_what_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operator_pages.private_log, "install", lambda: None)
    monkeypatch.setattr(operator_pages, "watch_log", lambda: None)
    operator_pages.begin()
    assert not caplog.records
    monkeypatch.setattr("tornado.process.task_id", lambda: 1)
    operator_pages.begin()
    assert "--num-procs" in caplog.text


def test_figures_are_refused_in_words(ask: Ask) -> None:
    code, body = ask("/class/metrics", **{"X-Forwarded-For": "192.0.2.1"})
    assert code == 403
    assert "--metrics" in body
    assert "txpanel_" not in body
