"""A family that the tests do not cover is checked at its first run, operation by operation, or refused."""

from __future__ import annotations

from weakref import WeakSet

import torch
import transformers
from packaging.version import Version

from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.quirks import PROVEN
from txpanel.tracing.trace import Trace

TESTED = ((5, 21), (5, 24))
"""First and last version of transformers that the tests were run with: ``scripts/versions`` does it."""


def proven(family: str, version: str = transformers.__version__) -> bool:
    """Whether the tests cover a family with this version of transformers (another version may compute it differently)."""
    return family in PROVEN and TESTED[0] <= Version(version).release[:2] <= TESTED[1]


_verified: WeakSet[LanguageModel] = WeakSet()


def is_verified(model: LanguageModel) -> bool:
    """Whether `verify` has passed a run of this very model."""
    return model in _verified


def verify(trace: Trace) -> None:
    """Compare every declared operation of every block with what the model really computed on this text, and remember the model.

    Raises:
        Unsupported: in words, at the first operation that does not give the recorded numbers: this model does something that
            txpanel does not know, and a wrong explanation is worse than none.
    """
    try:
        _compare(trace)
    except (AttributeError, KeyError, IndexError, TypeError, RuntimeError, StopIteration) as error:
        raise Unsupported(
            f"The inside of '{trace.anatomy.family}' could not be followed ({error}), so it is not shown. Open another model, or report this family."
        ) from error
    if trace.model is not None:
        _verified.add(trace.model)


def _compare(trace: Trace) -> None:
    tolerance = 1e-4 if trace.provenance.get("dtype") in ("float32", "float64") else 0.05
    for name in trace.names():
        operation = trace.operation(name)
        assert operation is not None
        recorded, again = (
            trace.tensor(name),
            operation.recompute({source: trace.tensor(source) for source in operation.inputs}),
        )
        finite = torch.isfinite(recorded)
        same = again.shape == recorded.shape and bool((torch.isfinite(again) == finite).all())
        if not same or float((again - recorded)[finite].abs().max()) > tolerance * float(recorded[finite].abs().max()):
            raise Unsupported(
                f"'{trace.anatomy.family}' computes '{name}' in a way that txpanel does not know, so its numbers could not be explained truthfully. "
                "Open another model, or report this family."
            )
