"""`txpanel serve`: one process that is really started, and the parts that decide what it allows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from txpanel.errors import ModelNotFound, TxpanelError
from txpanel.models import choice, machine
from txpanel.models.choice import Choice
from txpanel.models.language_model import LanguageModel
from txpanel.models.machine import Room
from txpanel.server import launch, policy
from txpanel.session import shared


@pytest.mark.slow
def test_serve_brings_page_and_model_and_stops_at_ctrl_c(tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    model = tiny("gpt2")
    model.model.save_pretrained(tmp_path / "my-model")
    model.tokenizer.save_pretrained(tmp_path / "my-model")
    command = [sys.executable, "-m", "txpanel", "serve", "--port", "0", "--model", str(tmp_path / "my-model")]
    log = tmp_path / "log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, preexec_fn=_hear) as process,
    ):
        try:
            page = _wait_for(log, r"txpanel is at (\S+)")
            _wait_for(log, r"Model: \S*my-model\. \S+")
            _wait_for(log, r"my-model is loaded")
            with urllib.request.urlopen(page, timeout=20) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(20)
            finally:
                process.kill()  # else `with` waits for it, and the suite with it
    assert code == 130
    said = log.read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert said.rstrip().endswith("Stopped.")


def _hear() -> None:
    """In the child: a suite that was started in the background has inherited deafness to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for(log: Path, pattern: str) -> str:
    for _again in range(900):
        found = re.search(pattern, log.read_text(encoding="utf-8"))
        if found:
            return found.group(1) if found.groups() else found.group(0)
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def test_a_port_is_found_and_a_taken_one_is_a_sentence() -> None:
    assert launch.find_port("localhost", 0) > 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TxpanelError, match=f"{port} is taken"):
            launch.find_port("localhost", port)


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        monkeypatch.setattr(launch, "FIRST_PORT", first)
        monkeypatch.setattr(launch, "LAST_PORT", first + 20)
        assert first < launch.find_port("localhost", None) <= first + 20


def test_on_windows_a_port_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the option that lets a lingering port be used again lets two programs have the same one."""
    asked: list[int] = []
    monkeypatch.setattr(socket.socket, "setsockopt", lambda self, level, option, value: asked.append(option))
    launch.find_port("localhost", 0)
    assert asked == [socket.SO_REUSEADDR]
    monkeypatch.setattr(launch, "WINDOWS", True)
    launch.find_port("localhost", 0)
    assert asked == [socket.SO_REUSEADDR]


def test_on_windows_a_port_that_another_program_has_for_itself_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows forbids it (WSAEACCES), where others say that it is in use."""
    bind = socket.socket.bind

    def forbidden(self: socket.socket, where: Any) -> None:
        if where[1] == 5006 or 0 < where[1] < 1024:
            raise PermissionError(
                13, "An attempt was made to access a socket in a way forbidden by its access permissions"
            )
        bind(self, (where[0], 0))

    monkeypatch.setattr(socket.socket, "bind", forbidden)
    assert launch.find_port("localhost", None) > 0
    with pytest.raises(TxpanelError, match="5006 is taken"):
        launch.find_port("localhost", 5006)
    with pytest.raises(TxpanelError, match="Port 80 needs rights"):
        launch.find_port("localhost", 80)


def test_each_system_has_its_own_number_for_an_address_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(self: Any, where: Any) -> None:
        raise OSError(10049, "The requested address is not valid in its context")

    monkeypatch.setattr(launch.errno, "EADDRNOTAVAIL", 10049)  # Windows'
    monkeypatch.setattr(socket.socket, "bind", elsewhere)
    with pytest.raises(TxpanelError, match="not an address of this machine"):
        launch.find_port("203.0.113.7", 0)


@pytest.mark.parametrize("address", ["203.0.113.7", "no-such-name.invalid"])
def test_an_address_of_another_machine_is_a_sentence(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if address.endswith(".invalid"):

        def bind(self: Any, where: Any) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(TxpanelError, match="not an address of this machine"):
        launch.find_port(address, 0)


def test_only_names_of_this_machine_may_connect() -> None:
    assert launch.allowed_origins("localhost", 5006) == ["localhost:5006", "127.0.0.1:5006"]
    assert {"localhost:443", "localhost:80"} <= set(
        launch.allowed_origins("localhost", 443)
    )  # the port of https goes unsaid
    assert "192.0.2.1:80" in launch.allowed_origins("192.0.2.1", 80)
    everywhere = launch.allowed_origins("0.0.0.0", 80, ["models.example.org"])
    assert f"{socket.gethostname()}:80" in everywhere
    assert "models.example.org" in everywhere
    assert not any("*" in origin for origin in everywhere)


@pytest.mark.parametrize(
    ("given", "set_to"),
    [
        ({}, {"TXPANEL_DEVICE": "cpu"}),
        ({"model": "nano", "device": "cuda"}, {"TXPANEL_MODEL": "nano", "TXPANEL_DEVICE": "cuda"}),
        ({"models": ["a", "b"]}, {"TXPANEL_MODEL": "a", "TXPANEL_MODELS": "a,b"}),
        ({"model": "c", "models": ["a"]}, {"TXPANEL_MODEL": "c", "TXPANEL_MODELS": "c,a"}),
        ({"address": "0.0.0.0", "dtype": "bfloat16"}, {"TXPANEL_PUBLIC": "1", "TXPANEL_DTYPE": "bfloat16"}),
        ({"origins": ["https://class.example.org"]}, {"TXPANEL_PUBLIC": "1"}),
        ({"origins": ["class.example.org"], "public": False}, {"TXPANEL_PUBLIC": "0"}),
        (
            {"embed": ["https://a.example", "https://b.example"]},
            {"TXPANEL_EMBED": "https://a.example,https://b.example"},
        ),
    ],
    ids=str,
)
def test_settings_reach_the_sessions(
    given: dict[str, Any], set_to: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", [])
    for name in [name for name in os.environ if name.startswith("TXPANEL_")]:
        del os.environ[name]
    started: list[list[str]] = []
    monkeypatch.setattr("panel.command.main", started.append)
    monkeypatch.setattr(launch.gc, "disable", lambda: None)
    assert launch.serve(port=0, open_browser=True, **given) == 0
    assert {**set_to, "TXPANEL_DEVICE": set_to.get("TXPANEL_DEVICE", "cpu")} == {
        name: value for name, value in os.environ.items() if name.startswith("TXPANEL_")
    }
    (command,) = started
    assert sys.argv == command
    assert command[:3] == ["panel", "serve", str(Path(launch.__file__).parents[1])]
    assert "--show" in command
    assert "http://localhost:" in capsys.readouterr().out


def test_the_first_model_is_brought_announced_and_offered(
    tiny: Callable[[str], LanguageModel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(policy, "_offered", [])
    monkeypatch.setattr(choice, "choose", lambda: Choice("some-model", "Because."))
    monkeypatch.setattr("txpanel.session.shared.load", lambda name, **_more: tiny("gpt2"))
    launch.bring_model("cpu", None)
    assert capsys.readouterr().out == "Model: some-model. Because.\n"
    assert policy.allowed_models("example.org") == ("some-model",)


def test_a_first_model_that_does_not_come_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str, **_more: Any) -> LanguageModel:
        raise ModelNotFound("There is none.")

    monkeypatch.setattr(choice, "choose", lambda: Choice("no-model", "Because."))
    monkeypatch.setattr("txpanel.session.shared.load", load)
    launch.bring_model("cpu", None)
    assert "txpanel: There is none." in capsys.readouterr().err


def test_an_offered_model_that_there_cannot_be_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TXPANEL_MODELS", "nano,smolm2-135m,owner/name,/no/such")
    monkeypatch.setattr(choice, "choose", lambda: Choice("nano", "Because."))
    launch.bring_model("cpu", None)
    said = [line for line in caplog.messages if line.startswith("TXPANEL_MODELS: ")]
    assert len(said) == 2
    assert "Did you mean smollm2-135m?" in said[0]
    assert "/no/such" in said[1]


def test_where_the_page_is_with_a_prefix_and_a_certificate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", [])
    started: list[list[str]] = []
    monkeypatch.setattr("panel.command.main", started.append)
    monkeypatch.setattr(launch.gc, "disable", lambda: None)
    launch.serve(port=0, prefix="/class/", https=True, more=["--prefix=/class/", "--use-xheaders"])
    assert re.search(r"https://localhost:\d+/class/txpanel ", capsys.readouterr().out)
    assert started[0][-2:] == ["--prefix=/class/", "--use-xheaders"]


def test_the_start_says_what_the_model_needs_and_refuses_what_cannot_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choice, "choose", lambda: Choice("nano", "Because."))
    monkeypatch.setattr(machine, "now", lambda: Room(1_000_000, 300_000, True))
    shared.models.clear()
    launch.bring_model("cpu", None)
    said = capsys.readouterr()
    assert "Memory: 401.1 kB for the weights (float32), 1.9 kB for each token" in said.out
    assert "300.0 kB of 1.0 MB are free in this container." in said.out
    assert "does not fit: its weights alone take 401.1 kB in float32" in said.err
    assert len(shared.models) == 0
