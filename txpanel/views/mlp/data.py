"""The numbers of the MLP view: neurons, the activation curve, what the strongest neurons write, the router. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from txpanel.models.memory import Store
from txpanel.models.torch_modes import computing
from txpanel.views.vectors import array

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.tracing import Trace

TOP = 8
"""Neurons listed one by one."""
PROMOTED = 5
"""Tokens named per neuron."""


@dataclass(frozen=True)
class Neurons:
    """The inner layer of one MLP (or of one chosen expert) for one token.

    Attributes:
        x: argument of the activation, float32 ``[F]``; x_name: its tensor. up: the second projection of a gated MLP, else None.
        post: what goes into the down projection. index: named indices of the row in those tensors (token, and slot in a mixture).
        expert: number of the expert, None where there is only one MLP.
    """

    x: np.ndarray
    x_name: str
    up: np.ndarray | None
    post: np.ndarray
    index: dict[str, int]
    expert: int | None = None

    @property
    def at(self) -> tuple[int, ...]:
        """The row as a plain tuple."""
        return tuple(self.index.values())


def neurons(trace: Trace, layer: int, position: int, slot: int = 0) -> Neurons:
    """Recorded values of every neuron for one token; in a mixture those of its `slot`-th expert."""
    p, block = f"blocks.{layer}.", trace.anatomy.blocks[layer]
    index, expert = {"token": position}, None
    if block.experts is not None:
        index["slot"] = slot
        expert = int(trace.tensor(p + "expert_index")[position, slot])
    at = tuple(index.values())
    up = array(trace.tensor(p + "mlp_pre")[at])
    post = array(trace.tensor(p + "mlp_post")[at])
    if not block.gated:
        return Neurons(up, p + "mlp_pre", None, post, index, expert)
    return Neurons(array(trace.tensor(p + "mlp_gate")[at]), p + "mlp_gate", up, post, index, expert)


def activate(trace: Trace, layer: int, x: np.ndarray) -> np.ndarray | None:
    """The model's own activation function at `x`, float32 of the same shape; None for a trace opened without its model."""
    operation: Any = trace.operation(f"blocks.{layer}.mlp_post")
    if trace.model is None:
        return None
    values = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    with computing():
        if hasattr(operation, "function"):
            return array(operation.function(values.to(trace.model.device)))
        gate, up = operation.inputs  # a gate with its own formula: with up = 0 it is the activation alone
        return array(operation.recompute({gate: values, up: torch.zeros_like(values)}))


def curve(trace: Trace, layer: int, x: np.ndarray, points: int = 241) -> tuple[np.ndarray, np.ndarray] | None:
    """The activation function over the range of `x` (and at least -3 to 3): two float32 ``[points]``."""
    low, high = min(-3.0, float(x.min())), max(3.0, float(x.max()))
    grid = np.linspace(low, high, points, dtype=np.float32)
    y = activate(trace, layer, grid)
    return None if y is None else (grid, y)


Pointed = tuple[str, float, int]
"""A token that a vector points to: its string, the product with its row of the unembedding, its id."""


@dataclass(frozen=True)
class NeuronWrite:
    """One neuron's part in what the MLP writes.

    Attributes:
        neuron: its number. x, up, post: its recorded values (up None without gate). size: norm of what it writes, ``|post| * |direction|``.
        direction: float32 ``[D]``, its column of the down projection. promotes, resists: tokens with the largest and smallest
            product of unembedding and what it writes, each (string, product, id).
    """

    neuron: int
    x: float
    up: float | None
    post: float
    size: float
    direction: np.ndarray
    promotes: tuple[Pointed, ...] = ()
    resists: tuple[Pointed, ...] = ()


_SIZES: Store[tuple[str, int, int | None], np.ndarray] = Store("neurons", lambda found: int(found.nbytes), most=256)
"""Norms of the columns of down projections, float32 [F]; a few kB each."""


def column_sizes(model: LanguageModel, layer: int, expert: int | None = None) -> np.ndarray:
    """Norm of each neuron's output direction, float32 ``[F]``."""
    key = (model.key, layer, expert)
    found = _SIZES.get(key)
    if found is None:
        found = _SIZES.put(key, array(model.parts.blocks[layer].maps["down"].matrix(expert).norm(dim=0)))
    return found


def strongest(trace: Trace, layer: int, found: Neurons, k: int = TOP) -> list[NeuronWrite]:
    """The neurons that write most for this token, largest first; without the model they are ordered by their value alone."""
    sizes = np.abs(found.post)
    matrix = None
    if trace.model is not None:
        sizes = sizes * column_sizes(trace.model, layer, found.expert)
        matrix = trace.model.parts.blocks[layer].maps["down"].matrix(found.expert)  # [D, F]
    best = np.argsort(-sizes, kind="stable")[:k]
    empty = np.zeros(0, np.float32)
    return [
        NeuronWrite(
            int(n), float(found.x[n]), None if found.up is None else float(found.up[n]), float(found.post[n]), float(sizes[n]),
            empty if matrix is None else array(matrix[:, int(n)]),
        )
        for n in best
    ]  # fmt: skip


def promoted(
    model: LanguageModel, layer: int, writes: np.ndarray, k: int = PROMOTED
) -> list[tuple[tuple[Pointed, ...], tuple[Pointed, ...]]]:
    """Tokens that vectors written into the residual stream push up and down, read directly through the unembedding.

    Each vector is multiplied by the gains of the norms on its way (the block's own output norm where it has one, and the final norm, whose
    scale is left out: it is the same for all tokens) and by the unembedding. Later blocks may still change the outcome.

    Args:
        writes: float32 ``[n, D]``.

    Returns:
        Per vector the `k` tokens with the largest and those with the smallest product, each (string, product, id).
    """
    with computing():
        logits = unembed(model, layer, torch.from_numpy(np.ascontiguousarray(writes, np.float32)).to(model.device))
        high, low = logits.topk(k, dim=1), (-logits).topk(k, dim=1)
    name = {int(i): model.tokens([int(i)]).strings[0] for i in torch.cat([high.indices, low.indices]).unique().tolist()}

    def listed(indices: Tensor, values: Tensor) -> tuple[Pointed, ...]:
        return tuple((name[i], v, i) for i, v in zip(indices.tolist(), values.tolist(), strict=True))

    return [
        (listed(high.indices[r], high.values[r]), listed(low.indices[r], -low.values[r])) for r in range(len(writes))
    ]


def unembed(model: LanguageModel, layer: int, writes: Tensor, chunk: int = 8192) -> Tensor:
    """Products of written vectors ``[n, D]`` with every row of the unembedding, ``[n, V]``; see `promoted`."""
    for norm in (model.parts.blocks[layer].norms.get("mlp_norm"), model.parts.norms.get("ln_final")):
        if norm is not None and norm.weight is not None:
            writes = writes * (norm.weight.detach().float() + norm.plus_one)
    if "output_projection" in model.parts.maps:
        writes = writes @ model.parts.maps["output_projection"].matrix().T
    unembedding = model.parts.maps["unembed"]  # [V, D]
    return torch.cat([writes @ rows.T for rows in unembedding.slices(chunk)], 1)


def output_name(trace: Trace, layer: int) -> str:
    """The tensor that the down projection makes (of a mixture: of one expert)."""
    p = f"blocks.{layer}."
    if trace.anatomy.blocks[layer].experts is not None:
        return p + "expert_out"
    return p + ("mlp_proj" if p + "mlp_proj" in trace else "mlp_out")


@dataclass(frozen=True)
class Routing:
    """Where a mixture sends one token: router logits float32 ``[n]``, chosen experts int64 ``[k]`` and their weights float32 ``[k]``."""

    logits: np.ndarray
    chosen: np.ndarray
    weights: np.ndarray


def routing(trace: Trace, layer: int, position: int) -> Routing | None:
    """The router's numbers for one token; None where the block has a single MLP."""
    p = f"blocks.{layer}."
    if trace.anatomy.blocks[layer].experts is None:
        return None
    logits, chosen, weights = (trace.tensor(p + name)[position] for name in ("router", "expert_index", "expert_weight"))
    return Routing(array(logits), np.asarray(chosen.cpu().numpy()).astype(np.int64), array(weights))
