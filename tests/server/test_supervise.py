"""The supervisor starts a server anew when it has died, is frozen or has failed, and leaves no process behind."""

from __future__ import annotations

import asyncio
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.server.frames import Visitor
from txpanel.server import cli, supervise, switched_off
from txpanel.server.launch import asked_at
from txpanel.server.supervise import Answer, Supervisor, probe
from txpanel.views import discovery

SERVER = """
import sys, time
from txpanel.server.supervise import end_with_supervisor
end_with_supervisor()
{does}
time.sleep(60)
"""


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes, float], int]]:
    """Serves one answer on a port."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(status: int, body: bytes, after: float = 0.0) -> int:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(after)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_given: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, b'{"status": "ready", "seconds": 3}', "well"),
        (503, b'{"status": "loading"}', "well"),
        (503, b'{"status": "failed"}', "failed"),
        (200, b'{"status": "failed"}', "failed"),
        (404, b"no such page", "well"),
        (401, b"", "well"),
        (500, b"<html>", "failed"),
        (200, b"[" * 9000, "well"),
        (200, b"\xff\x00", "well"),
    ],
)
def test_what_an_answer_means(answering: Callable[..., int], status: int, body: bytes, answer: Answer) -> None:
    assert probe("127.0.0.1", answering(status, body), "/health") == answer


def test_a_server_that_does_not_answer_is_silent(answering: Callable[..., int], free_port: int) -> None:
    assert probe("127.0.0.1", free_port, "/health") == "silent"
    assert probe("127.0.0.1", answering(200, b"{}", 1.0), "/health", timeout=0.2) == "silent"


class Run:
    """A supervisor of a small process, in a thread."""

    def __init__(self, does: str, answers: Callable[[Run], Answer], **options: float) -> None:
        self.said: list[str] = []
        command = [sys.executable, "-c", SERVER.format(does=does)]
        self.supervisor = Supervisor(command, lambda: answers(self), say=self.said.append, **options)
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.code = self.supervisor.run()

    def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        limit = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < limit
            time.sleep(0.02)

    def end(self) -> None:
        self.supervisor.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.supervisor.process is None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "EVERY", 0.05)
    monkeypatch.setattr(supervise, "GRACE", 1.0)


def test_one_that_has_died_is_started_anew() -> None:
    run = Run("sys.exit(7)", lambda run: "silent")
    run.until(lambda: run.supervisor.starts >= 2)
    run.end()
    assert "exit code 7" in run.said[0]


@pytest.mark.parametrize("answer", ["silent", "failed"])
def test_one_that_is_frozen_or_failed_is_ended_and_started_anew(answer: Answer) -> None:
    first: list[int] = []

    def answers(run: Run) -> Answer:
        process = run.supervisor.process
        if process is not None and run.supervisor.starts == 1:
            first.append(process.pid)
            return "well" if len(first) < 3 else answer
        return "well"

    run = Run("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", answers, patience=0.3)
    run.until(lambda: run.supervisor.starts == 2)
    assert not psutil.pid_exists(first[0])
    time.sleep(0.5)
    assert run.supervisor.starts == 2  # it is well, and stays
    run.end()
    (said,) = run.said
    assert ("has not answered" if answer == "silent" else "that it has failed") in said


def test_a_server_may_take_its_time_to_start() -> None:
    run = Run("", lambda run: "silent", patience=0.1, starting=60.0)
    time.sleep(1.0)
    assert run.supervisor.starts == 1
    run.end()


@pytest.mark.parametrize(("does", "code"), [("sys.exit(2)", 2), ("sys.exit(0)", 0), ("sys.exit(130)", 130)])
def test_a_wrong_command_or_a_willing_end_is_not_tried_again(does: str, code: int) -> None:
    run = Run(does, lambda run: "silent")
    run.thread.join(20)
    assert (run.code, run.supervisor.starts, run.said) == (code, 1, [])


INTERRUPTED = """
import sys
from txpanel.server import cli, supervise
supervise.SERVER = "import sys, time; print('up', flush=True); sys.stdin.read()"
supervise.probe = lambda *given, **named: "well"
sys.exit(cli.main(["serve", "--supervise", "--port", "0"]))
"""


@pytest.mark.parametrize(("number", "code", "said"), [(signal.SIGINT, 130, "Stopped.\n"), (signal.SIGTERM, 0, "")])
def test_a_ctrl_c_has_its_exit_code_and_an_ordered_end_is_none_that_failed(
    number: signal.Signals, code: int, said: str
) -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        _out, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (code, said)


def test_a_failure_that_a_start_does_not_mend_is_tried_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    patiences: list[float] = []

    class Watching(Supervisor):
        def _start(self) -> None:
            self.starts += 1

        def _watch(self, patience: float) -> tuple[str, bool]:
            patiences.append(patience)
            if len(patiences) == 9:
                self.stop()
            return "It has failed.", True

    supervisor = Watching(["x"], lambda: "failed", say=lambda _text: None)
    monkeypatch.setattr(supervisor, "_wait", lambda _seconds: True)
    supervisor.run()
    assert patiences == [10, 20, 40, 80, 160, 320, 600, 600, 600]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Supervisor]:
    """The supervisors that commands have made; none of them runs anything."""
    found: list[Supervisor] = []
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.setattr(Supervisor, "run", lambda self: found.append(self) or 0)
    monkeypatch.setattr(signal, "signal", lambda *_given: None)
    return found


@pytest.mark.parametrize("asked", ["--supervise", "--super"])  # argparse takes both
def test_the_command_is_that_of_the_operator(made: list[Supervisor], asked: str, free_port: int) -> None:
    assert cli.main(["serve", asked, "--model", "nano", "--open", "--port", str(free_port)]) == 0
    own = [sys.executable, "-c", supervise.SERVER, "serve", "--model", "nano", "--open", "--port", str(free_port)]
    assert made[0]._command == [*own, "--port", str(free_port)]


def test_people_stay_logged_in_when_the_server_is_started_anew(
    made: list[Supervisor], monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    for name in ("PANEL_COOKIE_SECRET", "BOKEH_COOKIE_SECRET", "BOKEH_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(["serve", "--supervise", "--basic-auth", "secret", "--port", str(free_port)]) == 0
    assert len(made) == 1
    assert os.environ["PANEL_COOKIE_SECRET"]  # which every server inherits
    assert os.environ["BOKEH_SECRET_KEY"]


def test_a_signal_ends_it_whatever_it_is_doing() -> None:
    """A lock that the interrupted thread holds, such as an event's, would keep the handler for ever."""
    before, stopped = signal.getsignal(signal.SIGALRM), 0
    try:
        for n in range(3000):
            supervisor = Supervisor(["x"], lambda: "well", environment={})
            signal.signal(signal.SIGALRM, supervisor.stop)
            signal.setitimer(signal.ITIMER_REAL, 0.00002 + 0.0000001 * (n % 400))
            limit = time.monotonic() + 5
            while not supervisor._wait(0.00001):
                assert time.monotonic() < limit
            stopped += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stopped == 3000


def test_a_note_that_was_not_written_whole_keeps_no_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "_off", {})
    monkeypatch.setattr(discovery, "when_off", [])
    notes = tmp_path / "notes"
    notes.write_text('["a", "slow", "It was slow."]\n["b", "sl', encoding="utf-8")
    switched_off.keep(notes)
    assert discovery._off == {("a", "slow"): "It was slow."}
    notes.unlink()
    notes.mkdir()  # it can't be written to any more
    (note,) = discovery.when_off
    note(("b", "slow"), "It was slow, too.")
    assert "could not be noted" in caplog.text


LOOPS = """
import panel as pn
from txpanel.views.base import View

class Loops(View):
    id, title, order, on_top = "loops", "Loops", 200, True
    def __panel__(self):
        def update():
            while self.state.layer == 1:
                pass
        self.follow(update, "trace", "layer")
        return pn.pane.Str("stands")
"""


@pytest.mark.sweep
@pytest.mark.slow
def test_an_endless_loop_ends_with_its_process_and_nothing_is_left_behind(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "loops.py").write_text(LOOPS, encoding="utf-8")
    info = tmp_path / "loops-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loops\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[txpanel.views]\nloops = loops:Loops\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "TXPANEL_PLUGINS": "loops",
        "TXPANEL_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "txpanel", "serve", "--supervise", "--model", "nano", "--port", str(free_port)]
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://localhost:{free_port}/txpanel"
    try:
        first = asyncio.run(_when_it_answers(url, freeze=True))
        (old,) = psutil.Process(process.pid).children()
        asyncio.run(_when_it_answers(url, freeze=False, seconds=first + 60))
        (new,) = psutil.Process(process.pid).children()
        said = log.read_text(encoding="utf-8")
        assert old.pid != new.pid
        assert re.search(r"the view loops:Loops has been at work for \d", said), said
        assert "while self.state.layer == 1" in said
        assert "has not answered for" in said
        # pages come back to where they were: what froze the server before must not do it again
        assert "The view loops of loops stays switched off" in said
        asyncio.run(_when_it_answers(url, freeze=True))
        asyncio.run(_when_it_answers(url, freeze=False))
        assert psutil.Process(process.pid).children() == [new]
        assert log.read_text(encoding="utf-8").count("has been at work for") == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert psutil.wait_procs([new], timeout=15)[1] == []
    finally:
        process.kill()
        process.wait()


async def _when_it_answers(url: str, *, freeze: bool, seconds: float = 90) -> float:
    """Runs a text as soon as a server takes one; then has the view loop, if that is wanted. Returns the seconds it took."""
    begin = time.monotonic()
    while True:
        try:
            async with Visitor.at(url) as visitor:
                await visitor.runs("CBABBC=", 20)
                if freeze:
                    await visitor.say("page/top_bar/top_bar", {"kind": "focus", "layer": 1})
                    await asyncio.sleep(0.5)
                return time.monotonic() - begin
        except (TimeoutError, OSError, AssertionError):
            if time.monotonic() > begin + seconds:
                raise
            await asyncio.sleep(0.3)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("localhost", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("*", "127.0.0.1"),
        ("::", "::1"),
        ("[::1]", "::1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_it_asks_where_the_server_listens(address: str, asked: str) -> None:
    assert asked_at(address) == asked


def test_health_is_under_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, str, bool]] = []
    monkeypatch.setattr(
        supervise, "probe", lambda host, port, path, *, tls: asked.append((host, port, path, tls)) or "well"
    )
    monkeypatch.setattr(Supervisor, "run", lambda self: 0 if self._ask() else 1)
    monkeypatch.setattr(signal, "signal", lambda *_given: None)
    supervise.supervise(["serve"], "h", 1)
    supervise.supervise(["serve"], "h", 1, prefix="/lab/", tls=True)
    assert asked == [("h", 1, "/health", False), ("h", 1, "/lab/health", True)]
