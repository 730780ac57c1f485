"""A GGUF file is read through a plain view of its memory map."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from tests.models import tinygguf
from txpanel.compat.gguf_reader import opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    tinygguf.write(path, tinygguf.model(), gguf.GGMLQuantizationType.F32)
    return path


def test_the_reader_still_slices_a_memory_map(path: Path) -> None:
    """When this fails, gguf slices something cheap itself: drop `gguf_reader`, but not its look at the end of the file."""
    theirs, ours = gguf.GGUFReader(path), opened(path)
    assert isinstance(theirs.data, np.memmap)
    assert not isinstance(ours.data, np.memmap)
    for one, other in zip(theirs.tensors, ours.tensors, strict=True):
        assert one.name == other.name
        assert np.array_equal(one.data, other.data)


def test_a_truncated_file_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.raises(ValueError, match=r"beyond the end|buffer|size"):
        opened(path)
