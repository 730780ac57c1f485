"""A matrix inside a model: where its numbers are, and what adapters (LoRA, DoRA, IA3) make of it.

With x the input, W the base weight, A and B an adapter's two matrices, s its scale::

    y[o] = sum_i W[o, i] x[i] + b[o]                              a plain matrix
    y[o] = ... + s sum_r B[o, r] (A x)[r]                         LoRA (arXiv:2106.09685)
    y[o] = g[o] (W x + s B A x)[o] + b[o]                         DoRA (arXiv:2402.09353), g[o] = m[o] / |W + s B A|[o]
    y[o] = l[o] (W x + b)[o]  or  sum_i W[o, i] l[i] x[i] + b[o]  IA3 (arXiv:2205.05638)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from txpanel.models.quantised import PackedWeight


@dataclass(frozen=True)
class LowRank:
    """What one adapter adds to a matrix: ``scale * up @ down``.

    Attributes:
        adapter: its name. down: A, [rank, in]. up: B, [out, rank]; of the same outputs as the matrix that it belongs to.
        scale: factor on the product (alpha / rank, or alpha / sqrt(rank)). alpha: as configured.
        magnitude: of DoRA, m [out] before any choice of rows; ``None``: plain LoRA.
    """

    adapter: str
    down: LinearMap
    up: LinearMap
    scale: float
    alpha: float
    magnitude: Tensor | None = None
    magnitude_name: str = ""

    @property
    def method(self) -> str:
        """``LoRA`` or ``DoRA``."""
        return "LoRA" if self.magnitude is None else "DoRA"


@dataclass(frozen=True)
class Rescale:
    """A learned factor on each input or output of a matrix (IA3).

    Attributes:
        adapter: its name. name: of the parameter. stored: the parameter, [out, 1] or [1, in].
    """

    adapter: str
    name: str
    stored: Tensor

    @property
    def vector(self) -> Tensor:
        """Float32 [out] or [in], before any choice of rows."""
        return self.stored.detach().flatten().float()

    def index(self, place: int) -> dict[str, int]:
        """Index of a factor in the stored parameter."""
        return {"row": place, "column": 0} if self.stored.shape[-1] == 1 else {"row": 0, "column": place}


@dataclass(frozen=True)
class LinearMap:
    """A matrix inside a parameter: ``y[o] = sum_i x[i] W[o, i] + b[o]``.

    Attributes:
        name: the parameter's own name in the model, by which terms refer to it.
        stored: the parameter. transposed: it is stored as [in, out] (GPT-2's Conv1D).
        rows: int64, which of its outputs this map uses, in order; ``None``: all.
        stacked: the parameter has a leading axis of experts.
        packed: how the numbers are kept where they are quantised; `stored` then holds packed numbers, not weights.
        updates: what adapters add to it, in order: a DoRA adapter rescales all before it as well.
        scaled_in, scaled_out: factors of IA3 on its inputs and its outputs.
    """

    name: str
    stored: Tensor
    transposed: bool = False
    rows: Tensor | None = None
    bias: Tensor | None = None
    bias_name: str = ""
    stacked: bool = False
    packed: PackedWeight | None = None
    updates: tuple[LowRank, ...] = ()
    scaled_in: tuple[Rescale, ...] = ()
    scaled_out: tuple[Rescale, ...] = ()

    @property
    def outputs(self) -> int:
        """How many outputs this map has."""
        if self.rows is not None:
            return len(self.rows)
        return self.packed.shape[0] if self.packed else int(self.stored.shape[-1 if self.transposed else -2])

    @property
    def inputs(self) -> int:
        """How many inputs it has."""
        return self.packed.shape[1] if self.packed else int(self.stored.shape[-2 if self.transposed else -1])

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.stored.device

    @property
    def adapted(self) -> bool:
        """Whether adapters have a part in it."""
        return bool(self.updates or self.scaled_in or self.scaled_out)

    @property
    def base(self) -> LinearMap:
        """The matrix and bias without adapters."""
        return replace(self, updates=(), scaled_in=(), scaled_out=()) if self.adapted else self

    def matrix(self, expert: int | None = None) -> Tensor:
        """Float32 [out, in]: the matrix that the model's output follows from, adapters included."""
        weight = self._dense(expert)
        if not self.adapted:
            return weight
        weight = weight * self.gain(0)[:, None]
        for k, update in enumerate(self.updates):
            weight = weight + update.scale * self.gain(k)[:, None] * (update.up.matrix() @ update.down.matrix())
        for factor in self.scaled_in:
            weight = weight * factor.vector
        return weight * self.output_factor()[:, None]

    def slices(self, size: int) -> Iterator[Tensor]:
        """The same matrix, at most ``size`` rows of it at a time: float32 [size, in]."""
        if self.adapted or self.packed or self.rows is not None:
            yield from self.matrix().split(size)
            return
        stored = self.stored.detach()
        weight = stored.T if self.transposed else stored
        yield from (weight[start : start + size].float() for start in range(0, self.outputs, size))

    def row(self, out: int, expert: int | None = None) -> Tensor:
        """Float32 [in]: the base weights that make output ``out``."""
        if self.packed:
            return self.packed.dense()[self.line(out)]
        stored = self.stored.detach()
        weight = stored[expert] if self.stacked else stored
        line = self.line(out)
        return (weight[:, line] if self.transposed else weight[line]).float()

    def offset(self, expert: int | None = None) -> Tensor | None:
        """Float32 [out]: the bias (what IA3 makes of it, and those of adapters, included), or ``None``."""
        total = None
        if self.bias is not None:
            bias = self.bias.detach()
            total = self._pick(bias[expert] if self.stacked else bias).float()
        for k, update in enumerate(self.updates):
            own = update.up.offset()
            if own is not None:
                own = own * update.scale * self.gain(k)
                total = own if total is None else total + own
        return total if total is None or not self.scaled_out else total * self.output_factor()

    def weight_index(self, out: int, column: int, expert: int | None = None) -> dict[str, int]:
        """Index of the weight from input ``column`` to output ``out`` in the stored parameter."""
        line = self.line(out)
        index = {"row": column, "column": line} if self.transposed else {"row": line, "column": column}
        return {"expert": expert, **index} if expert is not None and self.stacked else index

    def bias_index(self, out: int, expert: int | None = None) -> dict[str, int]:
        """Index of the bias of output ``out`` in the stored parameter; of experts, one row each."""
        return (
            {"row": expert, "column": self.line(out)}
            if expert is not None and self.stacked
            else {"row": self.line(out)}
        )

    def line(self, out: int) -> int:
        """Which output of the parameter output ``out`` of this map is."""
        return out if self.rows is None else int(self.rows[out])

    # -- adapters -------------------------------------------------------------------------------------------------

    def gain(self, k: int) -> Tensor:
        """Float32 [out]: what DoRA adapters from number ``k`` on multiply the sum so far with (``k`` 0: the base weight's); 1 without any."""
        total = torch.ones(self.outputs, device=self.device, dtype=torch.float32)
        for update in self.updates[k:]:
            if update.magnitude is not None:
                total = total * self.dora_gain(update)
        return total

    def dora_gain(self, update: LowRank) -> Tensor:
        """Float32 [out]: ``m / |W + s B A|`` of one DoRA adapter, the norm taken over each output's weights."""
        assert update.magnitude is not None
        whole = self._dense(None) + update.scale * (update.up.matrix() @ update.down.matrix())
        return self._pick(update.magnitude.detach().flatten().float()) / torch.linalg.vector_norm(whole, dim=1)

    def output_factor(self) -> Tensor:
        """Float32 [out]: product of the factors on the outputs."""
        total = torch.ones(self.outputs, device=self.device, dtype=torch.float32)
        for factor in self.scaled_out:
            total = total * self._pick(factor.vector)
        return total

    # -- inside ---------------------------------------------------------------------------------------------------

    def _dense(self, expert: int | None) -> Tensor:
        """Float32 [out, in], without adapters."""
        if self.packed:
            return self._pick(self.packed.dense())
        stored = self.stored.detach()
        weight = stored[expert] if self.stacked else stored
        return self._pick(weight.T if self.transposed else weight).float()

    def _pick(self, x: Tensor) -> Tensor:
        return x if self.rows is None else x[self.rows]
