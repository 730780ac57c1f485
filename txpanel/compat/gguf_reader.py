"""The tensors of a GGUF file are read through a plain view of its memory map.

Slicing a memory map, which the reader does for each tensor, costs ten times what slicing a plain view of it does. And the reader trusts every
length in a file: a tensor that reaches beyond the end of the file raises here.

Versions: gguf 0.17 to 0.19.
Reason: a conversion takes noticeably longer without.
Upstream: ggml-org/llama.cpp, gguf-py/gguf/gguf_reader.py, `GGUFReader.__init__`.
Test: tests/compat/test_gguf_reader.py::test_the_reader_still_slices_a_memory_map
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["opened"]


def opened(source: Path) -> Any:
    """A `gguf.GGUFReader` of a file.

    Raises:
        Exception: of any kind, for a damaged file.
    """
    import gguf  # late: only the process that converts needs it
    import numpy as np

    class Reader(gguf.GGUFReader):
        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, value: Any) -> None:
            self._data = np.asarray(value)

    reader = Reader(source)
    if any(tensor.data_offset + tensor.n_bytes > source.stat().st_size for tensor in reader.tensors):
        raise ValueError("tensor beyond the end of the file")
    return reader
