"""Runs as files: what was saved opens again, what somebody made up is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from txpanel.errors import BadFile
from txpanel.models.language_model import LanguageModel
from txpanel.session import run_file
from txpanel.session.state import ModelState
from txpanel.session.tree_codec import record as record_of
from txpanel.tracing import record
from txpanel.tracing.trace import Trace

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def state(tiny: Tiny) -> ModelState:
    made = ModelState(model=tiny("gpt2"), text="seven words", temperature=1.4, seed=2)
    made.generate(5)
    made.go(2)
    made.append(65)
    return made


def saved(state: ModelState, folder: Path) -> Path:
    path = folder / "run.safetensors"
    path.write_bytes(run_file.to_bytes(state.tree, state.model, "tiny", state.settings))
    return path


def test_a_run_comes_back_from_its_file(state: ModelState, tmp_path: Path) -> None:
    found = run_file.read(saved(state, tmp_path), "run")
    assert isinstance(found, run_file.SavedRun)
    assert found.record == record_of(state.tree)
    assert (found.model, found.settings) == ("tiny", state.settings)
    other = ModelState(model=state.model)
    other.restore(found.record)
    assert other.trace.tokens.ids.tolist() == state.trace.tokens.ids.tolist()
    assert len(saved(state, tmp_path).read_bytes()) < 2000


def test_a_whole_trace_opens_too(tiny: Tiny, tmp_path: Path) -> None:
    path = record(tiny("gpt2"), "seven").save(tmp_path / "t.safetensors")
    assert isinstance(run_file.read(path, "t"), Trace)


@pytest.mark.parametrize(
    "change",
    [
        {"film": "x"}, {"facts": "[]"}, {"facts": "{"}, {"facts": "[" * 100_000}, {"facts": json.dumps({"text": "a", "chat": False, "model": "m"})},
        {"facts": json.dumps({"text": "a", "chat": False, "model": "m", "settings": {"temperature": -1}})}, {"format": "txpanel run 9"},
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(state: ModelState, tmp_path: Path, change: dict[str, str]) -> None:
    facts = {"text": "a", "chat": False, "model": "m", "settings": {}}
    metadata = {"format": run_file.FORMAT, "facts": json.dumps(facts), "film": "AAAA"} | change
    path = tmp_path / "bad.safetensors"
    save_file({"prompt": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(BadFile, match="bad"):
        run_file.read(path, "bad")


def test_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    for data in (b"", b"\x80\x04.", b"\xff" * 100, b"PK\x03\x04" * 30):
        path.write_bytes(data)
        with pytest.raises(BadFile, match="safetensors"):
            run_file.read(path, "bad")
