"""Vectors of a trace as NumPy arrays, and their length as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.format import number

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["array", "norm_text"]


def array(tensor: Tensor) -> np.ndarray:
    """A tensor as float32, same shape, in the CPU's memory."""
    return np.asarray(tensor.detach().cpu().float().numpy())


def norm_text(values: np.ndarray) -> str:
    """The Euclidean norm of a vector ``[n]``, in words: ``"norm 12.3"``."""
    return _("norm {value}").format(value=number(float(np.linalg.norm(values.astype(np.float64)))))
