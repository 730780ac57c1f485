"""The terminal: a bar, Ctrl-C, a table, and letters that it can't write."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial

import pytest

from txpanel.models.doctor import Check
from txpanel.models.progress import Progress
from txpanel.server import cli
from txpanel.server.terminal import Bar, fitted, interruptible, table, width


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_rewritten() -> None:
    screen = Screen()
    bar = Bar(screen)
    bar(Progress("download", 25_000_000, 100_000_000, 5e6, 15.0, "Downloading"))
    bar(Progress("download", 50_000_000, 100_000_000, 5e6, 10.0, "Downloading"))
    bar(Progress("load", message="Loading"))
    bar.close()
    shown = screen.getvalue()
    assert shown.count("\n") == 2  # one for each stage
    assert "25% 25.0 MB of 100.0 MB" in shown
    for part in ("50.0 MB of 100.0 MB", "5.0 MB/s", "10 s left", "██"):
        assert part in shown


def test_in_a_file_each_stage_is_a_line() -> None:
    file = io.StringIO()
    bar = Bar(file)
    for done in range(10):
        bar(Progress("download", done, 10, message="Downloading"))
    bar(Progress("load", message="Loading"))
    bar.close()
    assert file.getvalue() == "Downloading\nLoading\n"


def test_lines_are_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen()
    Bar(screen)(Progress("load", message="word " * 50))
    assert width(screen.getvalue().split("\x1b[K")[1]) <= 39


def _interrupt_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_the_first_ctrl_c_is_a_wish_and_the_second_interrupts(request: pytest.FixtureRequest) -> None:
    before = signal.default_int_handler  # a suite that was started in the background is deaf to Ctrl-C
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, before)))
    with interruptible() as cancel:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.wait(5)
        with pytest.raises(KeyboardInterrupt):
            _interrupt_and_wait()
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_get_an_event_all_the_same() -> None:
    seen: list[threading.Event] = []

    def work() -> None:
        with interruptible() as cancel:
            seen.append(cancel)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) == 1


def test_a_table_lines_up_wide_characters() -> None:
    assert table(("a", "b"), [("日本", "x"), ("e\u0301", "y")]) == "a     b\n日本  x\ne\u0301     y"
    assert fitted("日本語", 4) == "日…"


PRINTS = "from txpanel.server.terminal import write_anything; write_anything(); print('✓ “é” █░ … ≥ 3 漢')"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "✓ “é” █░ … ≥ 3 漢"),
        ("cp1252", "+ “é” #. … >= 3 ?"),
        ("cp437", '+ "é" █░ ... ≥ 3 ?'),
        ("ascii", '+ "e" #. ... >= 3 ?'),
    ],
)
def test_what_an_encoding_lacks_is_written_plainly(encoding: str, said: str) -> None:
    """Windows writes a file that output is sent to in its code page, and Python refuses what that lacks."""
    settings = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    run = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, env=settings)
    assert run.returncode == 0, run.stderr
    assert run.stdout.decode(encoding).rstrip() == said


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
@pytest.mark.parametrize(
    "arguments", [["plugins"], ["plugins", "--json"], ["models"], ["--help"], ["serve", "--help"]], ids=" ".join
)
def test_every_command_can_be_sent_to_a_file(
    encoding: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    with suppress(SystemExit):
        assert cli.main(arguments) == 0
    sys.stdout.flush()
    text = written.getvalue().decode(encoding)
    assert len(text) > 100
    if "--json" in arguments:
        assert {row["name"] for row in json.loads(text)} > {"flow"}


def test_doctor_can_be_sent_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    checks = [Check("one", "ok", "“well”"), Check("two", "error", "≥ 漢", "Do this.")]
    monkeypatch.setattr("txpanel.models.doctor.doctor", lambda model=None, deep=False: checks)
    assert cli.main(["doctor"]) == 1
    sys.stdout.flush()
    assert written.getvalue().decode("cp1252").splitlines()[:2] == ["+ one: “well”.", "x two: >= ?. Do this."]
