"""Attention of long texts is compared at some of its queries: maps of all of them would be gigabytes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from txpanel.models.anatomy import BlockAnatomy
from txpanel.tracing.operations.attention import Scores, WeightedSum
from txpanel.tracing.operations.base import Operation

LARGE = 1 << 26
"""Bytes of a block's attention map above which not all of its queries are computed."""
ROWS = 64
"""Number of queries that are computed then."""


class Narrowed:
    """Which operations of a block are computed for some queries only, from the scores to the outputs of heads.

    Attributes:
        names: their outputs.
    """

    def __init__(self, block: BlockAnatomy, tokens: int) -> None:
        large = 4 * block.n_heads * tokens**2 > LARGE
        self._rows = torch.linspace(0, tokens - 1, min(ROWS, tokens)).round().long() if large else None
        self.names: set[str] = set()

    def inputs(self, operation: Operation, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs of an operation; if it is computed for some queries only, their rows of these inputs."""
        found = {source: values[source] for source in operation.inputs}
        begins = isinstance(operation, Scores)
        if self._rows is None or not (begins or self.names & found.keys()):
            return found
        self.names.add(operation.output)
        for source in () if isinstance(operation, WeightedSum) else operation.inputs[: 1 if begins else None]:
            if source not in self.names:
                found[source] = self.cut(found[source], operation.cells.get(source, operation.dims))
        return found

    def cut(self, value: Tensor, dims: tuple[str, ...]) -> Tensor:
        """The rows of a tensor that belong to these queries."""
        axis = next((at for at, dim in enumerate(dims) if dim in ("query", "token")), None)
        if axis is None or self._rows is None or value.shape[axis] == 1:
            return value
        return value.index_select(axis, self._rows)
