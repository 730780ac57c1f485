"""A file that comes to the page in pieces: kept somewhere until it is whole, and nowhere afterwards."""

from __future__ import annotations

import base64
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.page.exports import Files
from txpanel.session import run_file
from txpanel.session.state import ModelState

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def state(tiny: Tiny) -> ModelState:
    return ModelState(model=tiny("gpt2"), text="seven words")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files lie that are on their way."""
    made = tmp_path / "coming"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def piece(content: bytes, at: int = 0, last: bool = True) -> dict[str, Any]:
    return {"at": at, "data": base64.b64encode(content).decode(), "last": last, "name": "run.safetensors"}


def test_a_file_is_closed_before_it_is_opened_anew(
    state: ModelState, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows opens no file that deletes itself a second time."""
    read, seen = run_file.read, []

    def reading(path: Path, name: str) -> Any:
        seen.append((path.parent == folder, str(path) in {one.path for one in psutil.Process().open_files()}))
        return read(path, name)

    monkeypatch.setattr(run_file, "read", reading)
    sent: list[dict[str, Any]] = []
    files = Files(sent.append)
    files.save(state)
    content = base64.b64decode(sent[0]["data"])
    files.receive(state, piece(content[:100], last=False))
    assert len(list(folder.iterdir())) == 1
    files.receive(state, piece(content[100:], at=100))
    assert seen == [(True, False)]
    assert not state.error
    assert list(folder.iterdir()) == []


def test_what_is_no_run_leaves_nothing_behind(state: ModelState, folder: Path) -> None:
    Files(lambda data: None).receive(state, piece(b"x" * 20))
    assert "cannot be opened" in state.error
    assert list(folder.iterdir()) == []


def test_a_page_that_goes_takes_its_half_file_with_it(state: ModelState, folder: Path) -> None:
    files = Files(lambda data: None)
    files.receive(state, piece(b"x" * 20, last=False))
    assert len(list(folder.iterdir())) == 1
    del files
    gc.collect()
    assert list(folder.iterdir()) == []


def test_a_disk_that_takes_no_more_is_a_sentence(
    state: ModelState, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **named: Any) -> Any:
        raise OSError(28, "No space left on device")

    files = Files(lambda data: None)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    files.receive(state, piece(b"x" * 20))
    assert state.error == "The server could not keep the file: No space left on device. Try again later."
