"""A GGUF file is parsed once, not three times over, when transformers makes a model and a tokenizer of it.

transformers opens the file anew for configuration, tokenizer and weights, and asks for the table of tensor names again and
again. And slicing a memory map, which the reader does for each tensor, costs ten times what slicing a plain view of it
does. The numbers are the same, in a third of the time. Only the process that converts is touched, and it does nothing else.

Versions: gguf 0.17 to 0.19, transformers 5.21 to 5.24.
Reason: a conversion takes three times as long without.
Upstream: huggingface/transformers, src/transformers/modeling_gguf_pytorch_utils.py, `load_gguf_checkpoint`; ggml-org/llama.cpp, gguf-py.
Test: tests/compat/test_gguf_reader.py::test_transformers_still_opens_the_file_again_and_again
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

__all__ = ["open_once"]


def open_once(source: Path) -> Any:
    """A `gguf.GGUFReader` of a file, which transformers gets too, whatever file it asks for from now on.

    Raises:
        Exception: of any kind, for a damaged file: the reader trusts every length in it.
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
    gguf.GGUFReader = lambda path, *args, **kwargs: reader  # type: ignore[misc,assignment]
    gguf.get_tensor_name_map = functools.cache(gguf.get_tensor_name_map)
    return reader
