"""Whether the numbers of tensors are still the same ones: digests of all their bits, a few samples, and single rows of tables.

Torch counts writes to a tensor (``_version``), but not those through ``.data``, a NumPy view, or a fused optimizer. So bits are compared:
a digest is the sums of the rows and of the columns of all bits, written as a table of 64-bit numbers, so that neither a changed number
nor two that have changed places go unnoticed. It reads at the speed of memory.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDTH = 509
"""Columns of the table: a prime, so that rows of a matrix do not lie below each other."""
CHUNK = 256
"""Rows of the table at a time: a megabyte, which stays in the processor's cache for the second sum."""
SAMPLES = 8
"""Numbers of each tensor that are compared with every pass."""
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def plain(tensor: Tensor) -> list[Tensor]:
    """The ordinary tensors in which the numbers are: itself, or the parts of a quantised one. Empty: there are none to read."""
    try:
        if hasattr(tensor, "__tensor_flatten__"):
            names, _more = tensor.__tensor_flatten__()
            return [part for name in names for part in plain(getattr(tensor, name))]
        found = tensor.detach().as_subclass(Tensor)
        found.untyped_storage().data_ptr()
        readable = found.layout == torch.strided and found.device.type != "meta" and found.numel() > 0
        return [found] if readable and not found.is_complex() else []
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):  # a kind of tensor that shows no storage
        return []


def mark(tensor: Tensor) -> tuple[Any, ...]:
    """What changes when another tensor is there, or when torch has written to this one."""
    try:
        version = None if tensor.is_inference() else tensor._version
        return id(tensor), tensor.data_ptr(), version, tensor.dtype, tensor.device, tensor.shape
    except (RuntimeError, NotImplementedError):
        return id(tensor), 0, 0, tensor.dtype, tensor.device, tensor.shape


def digest(tensor: Tensor) -> bytes:
    """A digest of all bits of a tensor, its type and its shape."""
    made = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), digest_size=16)
    for part in plain(tensor):
        flat = part.contiguous().reshape(-1)
        for sums in _on_cpu(flat) if flat.device.type == "cpu" else _elsewhere(flat):
            made.update(sums.tobytes())
    return made.digest()


def _on_cpu(flat: Tensor) -> list[np.ndarray]:
    """Column sums, row sums and the remaining bytes of a flat tensor on the CPU."""
    whole = flat.view(torch.uint8).numpy()
    numbers = whole[: len(whole) // 8 * 8].view(np.uint64)
    rows = len(numbers) // WIDTH
    table, found = numbers[: rows * WIDTH].reshape(rows, WIDTH), np.zeros(WIDTH, np.uint64)
    across = np.empty(rows, np.uint64)
    for start in range(0, rows, CHUNK):
        part = table[start : start + CHUNK]
        found += np.add.reduce(part, axis=0)
        np.add.reduce(part, axis=1, out=across[start : start + CHUNK])
    return [found, across, whole[rows * WIDTH * 8 :]]


def _elsewhere(flat: Tensor) -> list[np.ndarray]:
    """The same of a tensor on another device, with 32-bit numbers."""
    whole = flat.view(torch.uint8)
    numbers = whole[: len(whole) // 4 * 4].view(torch.int32)
    rows = len(numbers) // WIDTH
    table = numbers[: rows * WIDTH].view(rows, WIDTH)
    sums = torch.cat([table.sum(0), table.sum(1)]).cpu().numpy()
    return [sums, whole[rows * WIDTH * 4 :].cpu().numpy()]


class Samples:
    """A few numbers of each of many tensors, read in one go: any change of a whole tensor shows in them."""

    def __init__(self, tensors: list[Tensor]) -> None:
        groups: dict[Any, list[Tensor]] = {}
        for tensor in tensors:
            for part in plain(tensor):
                if part.is_contiguous():
                    bits = part.reshape(-1).view(_BITS[part.element_size()])
                    groups.setdefault((bits.device, bits.dtype), []).append(bits[:: max(1, len(bits) // SAMPLES)])
        self._groups = list(groups.values())
        self._kept = self._read()

    def _read(self) -> list[Tensor]:
        return [torch.cat(group) for group in self._groups]

    def same(self) -> bool:
        """Whether all of them are what they were."""
        return all(torch.equal(now, kept) for now, kept in zip(self._read(), self._kept, strict=True))


def _odd(n: int) -> Tensor:
    """``n`` odd numbers below 2**32, far apart: int64 [n]. A product with one of them loses no bit."""
    places = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(
        0x9E3779B97F4A7C15
    )  # by the golden ratio: Knuth's multiplicative hash
    return torch.from_numpy((((places ^ (places >> np.uint64(29))) >> np.uint64(32)) | np.uint64(1)).astype(np.int64))


class TableRows:
    """Checksums of the rows of one table (of tokens or positions) that texts have used: a changed row affects only texts with that token."""

    def __init__(self, table: Tensor) -> None:
        self._weights = _odd(table.shape[-1])
        self._known = torch.zeros(len(table), dtype=torch.int64)
        self._is_known = torch.zeros(len(table), dtype=torch.bool)

    def same(self, table: Tensor, rows: Tensor) -> bool:
        """Whether these rows are unchanged since they were first passed; new ones are remembered.

        Args:
            table: [n, D]. rows: int64, on the CPU.
        """
        if self._weights.device != table.device:
            self._weights = self._weights.to(table.device)
        rows = rows[rows < len(table)]
        used = table.detach().index_select(0, rows.to(table.device))
        found = ((used.view(_BITS[used.element_size()]).long() + 1) * self._weights).sum(-1).cpu()
        changed = self._is_known[rows] & (self._known[rows] != found)
        self._known[rows], self._is_known[rows] = found, True
        return not bool(changed.any())
