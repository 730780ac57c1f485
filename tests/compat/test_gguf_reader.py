"""transformers reads a GGUF file with the reader that is open already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.models import tinygguf
from txpanel.compat.gguf_reader import open_once


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    tinygguf.write(path, tinygguf.model(), gguf.GGMLQuantizationType.F32)
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that gguf's own reader opens; at the end the package is as it was."""
    found: list[str] = []
    own = gguf.GGUFReader.__init__

    def counted(self: Any, path: Any, *args: Any) -> None:
        found.append(Path(path).name)
        own(self, path, *args)

    monkeypatch.setattr(gguf.GGUFReader, "__init__", counted)
    monkeypatch.setattr(gguf, "GGUFReader", gguf.GGUFReader)
    monkeypatch.setattr(gguf, "get_tensor_name_map", gguf.get_tensor_name_map)
    return found


def _load(path: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.model.embed_tokens.weight.detach()


def test_transformers_still_opens_the_file_again_and_again(path: Path, opened: list[str]) -> None:
    """When this fails, transformers opens it once: drop `gguf_reader`. And with it the numbers are the same."""
    weights = _load(path)
    assert len(opened) >= 2
    opened.clear()
    reader = open_once(path)
    assert torch.equal(_load(path), weights)
    assert opened == ["tiny.gguf"]
    assert gguf.GGUFReader("any other file") is reader


def test_a_file_that_is_cut_short_is_refused(path: Path, opened: list[str]) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.raises(ValueError, match=r"beyond the end|buffer|size"):
        open_once(path)
    assert opened == ["tiny.gguf"]
