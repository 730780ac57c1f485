"""A saved trace opens without its model and shows the same numbers; damaged, foreign and hostile files are refused in words."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from txpanel.errors import BadFile, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import open_trace
from txpanel.tracing.saving import FORMAT

Tiny = Callable[[str], LanguageModel]


@pytest.mark.parametrize(
    "name", ["gpt2", "gemma3_text", "gptj", "gpt_oss", "deepseek_v3", "bloom", "opt-350m", "granite"]
)
def test_everything_opens_again_without_the_model(name: str, tiny: Tiny, tmp_path: Path) -> None:
    trace = tiny(name).trace("naïve 🙂 text")
    opened = open_trace(trace.save(tmp_path / "run.safetensors"))
    assert opened.model is None
    assert opened.text == trace.text
    assert opened.anatomy == trace.anatomy
    assert opened.tokens.strings == trace.tokens.strings
    assert opened.tokens.pieces == trace.tokens.pieces
    assert opened.provenance["transformers"] == trace.provenance["transformers"]
    for tensor in trace.names():
        if opened.operation(tensor) is not None:
            torch.testing.assert_close(opened.tensor(tensor), trace.tensor(tensor), rtol=1e-5, atol=1e-5)
    assert opened.why("blocks.1.scores", head=1, query=5, key=2).check.ok
    with pytest.raises(Unsupported, match="opened without the model"):
        opened.why("blocks.1.v", kv_head=0, token=1, dim=0)
    with pytest.raises(Unsupported, match="opened without the model"):
        opened.check(0)
    assert opened.surprisal()[1:] == pytest.approx(trace.surprisal()[1:])


def test_an_opened_trace_can_be_saved_again(tiny: Tiny, tmp_path: Path) -> None:
    first = open_trace(tiny("llama").trace("abc").save(tmp_path / "a.safetensors"))
    second = open_trace(first.save(tmp_path / "b.safetensors"))
    assert torch.equal(second.tensor("blocks.2.mlp_out"), first.tensor("blocks.2.mlp_out"))


def saved(tiny: Tiny, tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor], dict[str, str]]:
    path = tiny("llama").trace("hello").save(tmp_path / "run.safetensors")
    with safe_open(path, framework="pt") as file:
        return path, {name: file.get_tensor(name).clone() for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


def test_truncated_and_foreign_files_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    path, tensors, _ = saved(tiny, tmp_path)
    data = path.read_bytes()
    for size in (0, 4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(BadFile, match="damaged, incomplete"):
            open_trace(path)
    path.write_bytes(b"PK\x03\x04 not a trace" * 50)
    with pytest.raises(BadFile, match=r"run\.safetensors"):
        open_trace(path)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(BadFile, match="not a txpanel trace"):
        open_trace(path)
    with pytest.raises(BadFile, match="no file"):
        open_trace(tmp_path / "absent.safetensors")
    with pytest.raises(BadFile, match="no file"):
        open_trace(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        {"anatomy": "{}"}, {"anatomy": "[]"}, {"anatomy": "not json"}, {"tokens": "{}"},
        {"tokens": '{"ids": [1], "strings": ["a"], "pieces": ["zz"], "exact": true}'},
        {"tokens": '{"ids": ["<script>"], "strings": ["a"], "pieces": [""], "exact": true}'}, {"provenance": "3"}, {"anatomy": "[" * 5000},
    ],
)  # fmt: skip
def test_contradictions_in_the_facts_are_refused(spoil: dict[str, str], tiny: Tiny, tmp_path: Path) -> None:
    path, tensors, metadata = saved(tiny, tmp_path)
    save_file(tensors, path, metadata={**metadata, **spoil})
    with pytest.raises(BadFile, match="is inconsistent"):
        open_trace(path)


def test_contradictions_in_the_tensors_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    path, tensors, metadata = saved(tiny, tmp_path)
    for change in (
        {"streams": tensors["streams"][:, :2].clone()}, {"logits": tensors["logits"][:9].clone()}, {"blocks.0.q": tensors["blocks.0.q"][:1].clone()},
        {"evil.tensor": torch.zeros(3)}, {"blocks.0.ln1": torch.zeros(2, 2, 2)},
    ):  # fmt: skip
        save_file({**tensors, **change}, path, metadata=metadata)
        with pytest.raises(BadFile, match="is inconsistent"):
            open_trace(path)
    anatomy = json.loads(metadata["anatomy"])
    save_file(tensors, path, metadata={**metadata, "anatomy": json.dumps({**anatomy, "n_layers": 10**9})})
    with pytest.raises(BadFile, match="is inconsistent"):
        open_trace(path)
    assert metadata["format"] == FORMAT


def test_a_full_disk_leaves_no_half_file(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("txpanel.tracing.saving.save_file", full)
    trace = tiny("gpt2").trace("abc")
    with pytest.raises(BadFile, match=r"could not be written.*free some space"):
        trace.save(tmp_path / "run.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_a_file_may_be_read_by_whom_its_owner_says(umask: int, tiny: Tiny, tmp_path: Path) -> None:
    """safetensors makes files for their owner alone, whatever that one has chosen."""
    trace, path = tiny("gpt2").trace("abc"), tmp_path / "run.safetensors"
    before = os.umask(umask)
    try:
        trace.save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    trace.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["run.safetensors"]
