"""The norm of a tensor at each token: the one that hooks measured during the run, once it was found equal to that of a block run again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from txpanel.models.language_model import LanguageModel
from txpanel.tracing.prefix import TOLERANCE
from txpanel.tracing.written import norm

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace

__all__ = ["norms"]

_AGREED: WeakKeyDictionary[LanguageModel, tuple[str, set[str]]] = WeakKeyDictionary()
"""The tensors whose measured norms equalled those of the blocks run again, and the model's state (key) in which they did."""


def norms(trace: Trace, name: str) -> npt.NDArray[np.float32]:
    """Norm of a tensor at each token: float32 [T].

    Raises:
        NoSuchTensor, Stale, Unsupported: as :meth:`~txpanel.tracing.Trace.tensor`.
    """
    there = trace.kept(name)
    measured = trace.recording.written.of(name) if trace.recording.written is not None else None
    if there is None and measured is not None and name in _agreed(trace):
        return measured
    found = norm(trace.tensor(name) if there is None else there).float().numpy()
    if measured is not None and trace.model is not None:
        dtype = trace.model.dtype
        if bool((np.abs(found - measured) <= TOLERANCE.get(dtype, 0.05) * np.abs(found) + 1e-30).all()):
            _agreed(trace).add(name)
    return found


def _agreed(trace: Trace) -> set[str]:
    model, state = trace.model, trace.recording.state
    if model is None or state is None:
        return set()
    found = _AGREED.get(model)
    if found is None or found[0] != state.key:
        found = _AGREED[model] = (state.key, set())
    return found[1]
