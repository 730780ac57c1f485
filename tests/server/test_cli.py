"""The command line, mostly in this process; what needs a process of its own gets one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import txpanel
from txpanel.errors import Cancelled, DownloadFailed
from txpanel.models import doctor
from txpanel.models.catalogue import CATALOGUE
from txpanel.models.language_model import LanguageModel
from txpanel.server import cli
from txpanel.views import discovery
from txpanel.views.discovery import Record

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tiny: Callable[[str], LanguageModel], tmp_path: Path) -> Path:
    """A model in a folder, as a user has it."""
    model = tiny("gpt2")
    path = tmp_path / "my-model"
    model.model.save_pretrained(path)
    model.tokenizer.save_pretrained(path)
    return path


def failure(arguments: list[str], capsys: Capture) -> tuple[int, str]:
    """Exit code and what stands on standard error."""
    try:
        code = cli.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


def test_module_and_program_are_the_same() -> None:
    run = subprocess.run([sys.executable, "-m", "txpanel", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"txpanel {txpanel.__version__}\n"


def test_help_costs_no_heavy_import() -> None:
    code = (
        "import sys; from txpanel.server.cli import parser; parser().format_help();"
        "assert not {'torch', 'panel', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", ["serve", "models", "plugins", "doctor", "export"])
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert "--help" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["serve", "--port", "99999"], ["serve", "--port", "x"], ["models", "--nope"], ["export"]],
    ids=str,
)
def test_a_command_line_that_makes_no_sense_is_one_sentence(arguments: list[str], capsys: Capture) -> None:
    code, words = failure(arguments, capsys)
    assert code == 2
    assert words.count("\n") == 1
    assert "--help" in words


def test_models_lists_the_catalogue(capsys: Capture) -> None:
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    for entry in CATALOGUE:
        assert f"\n{entry.name} " in out
        assert entry.licence in out
    assert cli.main(["models", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)][: len(CATALOGUE)] == [e.name for e in CATALOGUE]


def test_plugins_tells_all_and_strict_fails_on_a_broken_one(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Record("fine", "some-package", "1.2", "ok")
    left = Record("left", "other", "1", "disabled", None, "Left out.")
    bad = Record("bad", "other", "1", "broken", None, "It is broken.")
    monkeypatch.setattr(discovery, "discover", lambda: [good, left])
    assert cli.main(["plugins", "--strict"]) == 0
    assert "some-package" in capsys.readouterr().out
    monkeypatch.setattr(discovery, "discover", lambda: [good, bad])
    assert cli.main(["plugins"]) == 0
    assert "It is broken." in capsys.readouterr().out
    assert cli.main(["plugins", "--strict", "--json"]) == 1
    assert [row["status"] for row in json.loads(capsys.readouterr().out)] == ["ok", "broken"]


def test_doctor_fails_only_on_errors(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check("one", "ok", "well"), doctor.Check("two", "warning", "so-so", "Do this.")]
    monkeypatch.setattr(doctor, "doctor", lambda model=None, deep=False: checks)
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "✓ one: well" in out
    assert "! two: so-so. Do this." in out
    checks.append(doctor.Check("three", "error", "gone"))
    assert cli.main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [check["status"] for check in told[:3]] == ["ok", "warning", "error"]
    assert told[-1]["title"] == "views"


def test_doctor_says_when_no_view_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "discover", list)
    assert cli._check_views().status == "error"


def test_export_saves_a_run(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run.safetensors"
    assert cli.main(["export", "seven words", "--model", str(folder), "-o", str(out)]) == 0
    assert "my-model" in capsys.readouterr().out
    assert txpanel.open_trace(out).text == "seven words"
    with safe_open(out, "np") as file:
        assert file.metadata()


def test_export_reads_standard_input(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe"))
    out = tmp_path / "run.safetensors"
    assert cli.main(["export", "-", "--model", str(folder), "-o", str(out)]) == 0
    assert txpanel.open_trace(out).text == "from a pipe"


def test_export_writes_the_page(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    class Page:
        def save(self, path: Path) -> None:
            written.append(path)

    monkeypatch.setattr("txpanel.page.dashboard.explain", lambda text, model: Page())
    assert cli.main(["export", "x", "--model", str(folder), "-o", str(tmp_path / "x.html")]) == 0
    assert written == [tmp_path / "x.html"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "x", "-o", "run.txt"], "safetensors"),
        (["export", "x", "-o", "/no/such/folder/x.html"], "no folder"),
        (["export", "x", "--model", "gtp2"], "gpt2"),
        (["export", "x", "--model", "/no/such/folder"], "/no/such/folder"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_one_sentence_and_exit_code_1(
    arguments: list[str], words: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told = failure(arguments, capsys)
    assert code == 1
    assert words in told
    assert "Traceback" not in told
    assert told.startswith("txpanel: ")
    assert told.count("\n") == 1


def test_an_empty_text_is_one_sentence(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    code, told = failure(["export", "", "--model", str(folder), "-o", str(tmp_path / "x.safetensors")], capsys)
    assert code == 1
    assert "Type" in told
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("error", "code"), [(Cancelled("x"), 130), (KeyboardInterrupt(), 130), (DownloadFailed("No line."), 1)]
)
def test_stopping_and_failing_have_their_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr("txpanel.models.loading.load", broken)
    found, told = failure(["export", "x", "--model", "nano"], capsys)
    assert found == code
    assert told.strip() in ("Stopped.", "txpanel: No line.")
