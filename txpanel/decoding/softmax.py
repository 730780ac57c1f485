"""From logits to probabilities, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["softmax"]


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities float64 [V] of logits [V]: ``e^(logit - max)``, divided by their sum; the greatest is taken off so that none overflows."""
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(powers / powers.sum())
