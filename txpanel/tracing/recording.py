"""What a forward pass leaves behind, and which model and versions it ran with."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.changed import State
from txpanel.tracing.names import GIVEN, SOURCE_STATE, SOURCE_TOKENS
from txpanel.tracing.rows import Rows

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy
    from txpanel.models.encoder_decoder import Source
    from txpanel.models.language_model import LanguageModel
    from txpanel.tracing.written import Written


@dataclass
class Recording:
    """What a forward pass left behind.

    Attributes:
        streams: the residual stream before each block and after the last: n_layers + 1 tensors [T, D], in the model's type.
        calls: each block's other call arguments; empty if they are only collected when they are needed. logits: float32 [vocab].
        tuple_output: length of the tuple that a block returns; 0: it returns the stream alone.
        reused: how many leading rows were computed in an earlier pass. stored: tensors of a trace opened from a file.
        rows: the buffers that `streams` are views of, where the text has grown. written: norms of what blocks add, if they were measured.
        pieces: where the pieces end in which the text was read (:mod:`txpanel.tracing.pieces`); empty: in one pass.
        state: of the model, as it was then; ``None`` for a trace opened from a file.
        answer: the token at which `logits` stand: the last one; of a model that fills gaps a gap, or any token. gaps: where its mask tokens are.
        source: what the encoder had read, with its output; ``None``: there is none.
    """

    streams: list[Tensor]
    calls: list[Any]
    logits: Tensor
    reused: int = 0
    tuple_output: int = 0
    stored: dict[str, Tensor] = field(default_factory=dict)
    rows: Rows | None = None
    written: Written | None = None
    pieces: tuple[int, ...] = ()
    state: State | None = None
    answer: int = -1
    gaps: tuple[int, ...] = ()
    source: Source | None = None

    def reads(self, source: Source | None) -> None:
        """Keep what the encoder had read, also as tensors under their names (``encoder.state`` ...)."""
        self.source = source
        if source is not None:
            self.stored[SOURCE_STATE] = source.state
            if source.kind == "text":
                self.stored[SOURCE_TOKENS] = torch.from_numpy(np.asarray(source.tokens.ids))
            self.stored |= {GIVEN + name: value for name, value in source.given.items()}
            for layer, (before, after) in enumerate(pairwise(source.streams)):
                self.stored |= {
                    f"encoder.blocks.{layer}.resid_pre": before,
                    f"encoder.blocks.{layer}.resid_post": after,
                }

    def tensors(self) -> list[Tensor]:
        """All tensors that it holds."""
        norms = [self.written.values] if self.written is not None else []
        return _tensors([self.streams, self.calls, self.logits, self.stored, norms])

    @property
    def piece(self) -> int:
        """Tokens of the largest piece; 0 where the text was read in one pass."""
        starts = (self.reused, *self.pieces)
        return max((end - start for start, end in zip(starts, self.pieces, strict=False)), default=0)


def why_inexact(recording: Recording) -> str:
    """Why a block run again as a whole may differ in the last digits from what was recorded; empty: it should not."""
    said = []
    if recording.reused:
        words = _("The first {n} tokens were computed in an earlier pass.")
        said.append(words.format(n=recording.reused))
    if recording.pieces:
        words = _("The text was run in parts of {n} tokens, so that others need not wait.")
        said.append(words.format(n=recording.piece))
    if said:
        said.append(_("Passes of different length add the numbers in another order, so the last digits may differ."))
    return " ".join(said)


def changed_since() -> str:
    """The sentence for a run whose model has changed since."""
    return _(
        "The model has changed since this run was recorded. Recorded numbers are still shown; numbers that would "
        "need the old weights are not. Record the text again to see the model as it is now."
    )


def unlike() -> str:
    """The sentence for a block that gives other numbers, although its weights and settings are those of the recording."""
    return _(
        "Run again, this block gives other numbers, although none of its weights and settings has changed. A "
        "function that it calls was replaced, or its result is random."
    )


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """Whether a replayed block gives back the recorded stream.

    Attributes:
        exact: equal bit for bit. difference: largest absolute difference. note: why it may differ.
    """

    exact: bool
    difference: float
    note: str


def not_repeatable(name: str) -> Unsupported:
    """The error for a part that gives other numbers when it is run alone."""
    words = _(
        "'{name}' was computed within the whole run: its module, run alone, gives other numbers (it keeps a "
        "state of its own)."
    )
    return Unsupported(words.format(name=name))


def compared(model: LanguageModel | None, recording: Recording, layer: int, output: Tensor) -> BlockCheck:
    """A block's output [T, D], as it was when it was run again, compared with the recorded stream after it."""
    recorded = recording.streams[layer + 1]
    same = (output == recorded) | (output.isnan() & recorded.isnan())
    difference = float((output.float() - recorded.float()).abs().masked_fill(same, 0.0).max())
    note = why_inexact(recording)
    if model is not None and "block" in model.parts.blocks[layer].alone_differs:
        note = str(not_repeatable(f"blocks.{layer}.resid_post"))
    return BlockCheck(bool(same.all()), difference, note)


def describe_run(model: LanguageModel | None, recording: Recording) -> dict[str, str]:
    """Provenance of a run: model, source of the weights, dtype, device, attention kernel, versions. Shown beside every figure."""
    if model is None:
        return {}
    return {
        "model": model.name, "title": model.title, "family": model.anatomy.family,
        **{f"source_{key}": value for key, value in model.source.as_dict().items()},
        "dtype": str(model.dtype).removeprefix("torch."), "device": str(model.device),
        "attention": str(getattr(model.model.config, "_attn_implementation", "")),
        **model.adapters.words(), **_quantised(model.anatomy),
        "reused_rows": str(recording.reused), "python": platform.python_version(),
        **({"recorded_in_pieces_of": str(recording.piece)} if recording.pieces else {}),
        **_versions(),
    }  # fmt: skip


def _quantised(anatomy: Anatomy) -> dict[str, str]:
    """By which methods weights are kept in fewer bits."""
    methods = sorted(
        {
            method
            for part in [anatomy.quantised] + [block.quantised for block in anatomy.blocks]
            for method in part.values()
        }
    )
    return {"quantised": ", ".join(methods)} if methods else {}


@cache
def _versions() -> dict[str, str]:
    """Versions of packages; cached, because each look-up reads a file and every generated step asks for them."""
    return {package: version(package) for package in ("txpanel", "torch", "transformers")}


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (list, tuple)) else []
