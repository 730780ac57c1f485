"""Whether a run is still valid: the model may have changed since, and a block that is run again must give what was recorded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from txpanel.errors import Stale, TxpanelError
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.linear_map import LinearMap
from txpanel.models.parts import NormParts
from txpanel.models.tokens import Tokens
from txpanel.tracing import pieces
from txpanel.tracing.opaque_runs import handed
from txpanel.tracing.operations.base import Operation, no_weights
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.passes import collect_calls
from txpanel.tracing.prefix import beyond_rounding
from txpanel.tracing.recording import BlockCheck, Recording, changed_since, compared, unlike
from txpanel.tracing.replay import BlockTrace, replay


class Standing:
    """The part of a :class:`~txpanel.tracing.Trace` that compares it with its model as it is now."""

    recording: Recording
    anatomy: Anatomy
    tokens: Tokens
    model: LanguageModel | None
    _checks: dict[int, BlockCheck]

    if TYPE_CHECKING:

        def _replay(self, layer: int, ids: list[int], ends: list[int]) -> BlockTrace: ...

    @property
    def stale(self) -> str | None:
        """A sentence if the model has changed since this run was recorded: weights, modules, hooks, settings, type or device; else ``None``.

        What the recording holds, and what was computed before the change, stays. What needs the weights at that time raises
        :class:`~txpanel.errors.Stale`.
        """
        return self._stale()

    def _stale(self, *, thorough: bool = False) -> str | None:
        recorded = self.recording.state
        if self.model is None or recorded is None:
            return None
        try:
            same = self.model.state(thorough=thorough).key == recorded.key
        except TxpanelError:  # it has changed into something that can't be opened
            same = False
        return None if same else changed_since()

    def _needs_model(self, operation: Operation | None) -> bool:
        """Whether an operation computes with weights or modules."""
        if self.model is None or operation is None:
            return False
        kinds = (Tensor, nn.Module, LinearMap, NormParts)
        return isinstance(operation, Opaque) or any(isinstance(x, kinds) for x in vars(operation).values())

    def _refuse_stale(self) -> None:
        """Call this before anything is computed with the model.

        Raises:
            Stale: the model has changed since the recording.
        """
        stale = self._stale()
        if stale is not None:
            raise Stale(stale)

    def check(self, layer: int) -> BlockCheck:
        """Block ``layer``'s output, as it was when the block was run again, compared with the recorded stream after it.

        Raises:
            Unsupported: the trace was opened without its model.
        """
        if self.model is None:
            raise no_weights(f"blocks.{layer}.resid_post")
        stale = self.stale
        if stale is not None:
            return BlockCheck(*self._again(layer), stale)
        if layer not in self._checks:
            ids = [int(i) for i in self.tokens.ids]
            self._replay(layer, ids, pieces.ends(self.model, ids, measured=True))
        return self._checks[layer]

    def _compared(self, layer: int, output: Tensor) -> BlockCheck:
        assert self.model is not None
        found, recorded = compared(self.model, self.recording, layer, output), self.recording.streams[layer + 1]
        if found.exact or self.model.parts.blocks[layer].alone_differs or not beyond_rounding(output, recorded):
            return found
        stale = self._stale(thorough=True)
        if stale is not None:
            raise Stale(stale)
        choosing = bool(self.recording.reused or self.recording.pieces) and self.anatomy.blocks[layer].experts
        return found if choosing else BlockCheck(False, found.difference, unlike())

    def _again(self, layer: int) -> tuple[bool, float]:
        """Whether a block of the changed model still gives the recorded stream, and the largest difference. Nothing is kept."""
        assert self.model is not None
        recording, recorded = self.recording, self.recording.streams[layer + 1]
        try:
            with self.model.lock:
                ids, stream = self.tokens.ids.tolist(), recording.streams[layer]
                calls = recording.calls or collect_calls(self.model, ids, recording.tuple_output)
                output = handed(self.model, layer, replay(self.model, layer, stream, calls[layer]).output, ids, stream)
            return bool(torch.equal(output, recorded)), float((output.float() - recorded.float()).abs().max())
        except (
            TxpanelError,
            RuntimeError,
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
        ):  # other sizes, another type, other modules
            return False, math.inf
