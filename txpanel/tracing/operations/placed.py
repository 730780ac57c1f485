"""The first step of a text with an image or a sound in it: rows of the embedding matrix, and between them vectors that another module has computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.models.tokens import Place
from txpanel.tracing.operations.base import Cell, Values, no_weights
from txpanel.tracing.operations.linear import Lookup

OF_TOKENS = ("attention_mask", "token_type_ids", "mm_token_type_ids")
"""Arguments that describe the tokens, not the image or sound."""


@dataclass(frozen=True)
class Placed(Lookup):
    """``y[t] = factor * W[id[t]]``; where an image or a sound stands, the output of its module, which is not opened.

    Attributes:
        places: of the image or sound. rows: the vectors put there in the run, float32 [n, D]. made_from: names of the inputs they were made from.
        call: computes the rows again; given by :meth:`txpanel.tracing.Trace.operation`.
    """

    kind: ClassVar[str] = "lookup"
    places: tuple[Place, ...] = ()
    rows: Tensor | None = None
    made_from: tuple[str, ...] = ()
    call: Callable[[], Tensor] | None = None

    def recompute(self, x: Values) -> Tensor:
        if self.table is None or self.rows is None:
            raise no_weights(self.output)
        return self._put(x, self.rows)

    def again(self, x: Values) -> Tensor:
        if self.table is None or self.call is None:
            raise no_weights(self.output)
        return self._put(x, self.call())

    def opaque_at(self, cell: Cell) -> str | None:
        return next((place.module for place in self.places if place.start <= cell[0] < place.stop), None)

    def _put(self, x: Values, rows: Tensor) -> Tensor:
        ids = x[self.inputs[0]].clone()
        at = torch.cat([torch.arange(place.start, place.stop) for place in self.places])
        ids[at] = 0  # an id that stands for an image need not have a row
        found = super().recompute({self.inputs[0]: ids})
        return found.index_copy(0, at, rows.to(found))
