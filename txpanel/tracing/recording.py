"""What a forward pass leaves behind, and which model and versions it ran with."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from torch import Tensor

from txpanel.tracing.rows import Rows

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


@dataclass
class Recording:
    """What a forward pass left behind.

    Attributes:
        streams: the residual stream before each block and after the last: n_layers + 1 tensors [T, D], in the model's type.
        calls: each block's other call arguments; empty if they are only collected when they are needed. logits: float32 [vocab].
        reused: how many leading rows were computed in an earlier pass. stored: tensors of a trace opened from a file.
        rows: the buffers that `streams` are views of, where the text has grown.
    """

    streams: list[Tensor]
    calls: list[Any]
    logits: Tensor
    reused: int = 0
    tuple_output: bool = False
    stored: dict[str, Tensor] = field(default_factory=dict)
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """Whether a replayed block gives back the recorded stream.

    Attributes:
        exact: equal bit for bit. difference: largest absolute difference. note: why it may differ.
    """

    exact: bool
    difference: float
    note: str


def describe_run(model: LanguageModel | None, recording: Recording) -> dict[str, str]:
    """Provenance of a run: model, source of the weights, dtype, device, attention kernel, versions. Shown beside every figure."""
    if model is None:
        return {}
    return {
        "model": model.name, "title": model.title, "family": model.anatomy.family,
        **{f"source_{key}": value for key, value in model.source.as_dict().items()},
        "dtype": str(model.dtype).removeprefix("torch."), "device": str(model.device),
        "attention": str(getattr(model.model.config, "_attn_implementation", "")),
        "reused_rows": str(recording.reused), "python": platform.python_version(),
        **_versions(),
    }  # fmt: skip


@cache
def _versions() -> dict[str, str]:
    """Versions of packages; cached, because each look-up reads a file and every generated step asks for them."""
    return {package: version(package) for package in ("txpanel", "torch", "transformers")}
