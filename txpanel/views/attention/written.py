"""What each head writes: the output projection W_O taken apart by heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["HeadShares", "head_shares", "kv_head", "weighted", "written_norms"]

Floats = npt.NDArray[np.float32]


def kv_head(trace: Any, layer: int, head: int) -> int:
    """The key/value head that a query head reads."""
    block = trace.anatomy.blocks[layer]
    return int(head * block.n_kv_heads // block.n_heads)


def head_map_of_output(trace: Any, layer: int) -> tuple[Any, Any] | None:
    """The operations that split the output projection by heads: (each head's result, their sum); None without weights."""
    by_kind = {operation.kind: operation for operation in trace.operations(layer)}
    result, total = by_kind.get("head output"), by_kind.get("sum over heads")
    return (result, total) if result is not None and total is not None and result.map is not None else None


@dataclass(frozen=True)
class HeadShares:
    """What each head of a block adds to one token's stream.

    Attributes:
        token: whose. output: name of the tensor that the heads add up to.
        vectors: float32 [H, width], each head's z through its slice of W_O.
        norms: float64 [H], their lengths. bias: length of the bias that is added once (0: there is none).
        toward: float64 [H], the part of each that points along the sum (cosine with the sum times its length over
            the sum's): adds up to 1 with the bias' part.
        difference: largest |heads + bias - recorded output|.
    """

    token: int
    output: str
    vectors: Floats
    norms: npt.NDArray[np.float64]
    bias: float
    toward: npt.NDArray[np.float64]
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the heads add up to the recorded output."""
        return self.difference <= self.tolerance


def head_shares(trace: Any, layer: int, token: int) -> HeadShares | None:
    """Each head's share of what attention writes for one token; None where the trace has no model, and so no weights."""
    pair = head_map_of_output(trace, layer)
    if pair is None:
        return None
    result, total = pair
    one = slice(token, token + 1)
    read = {name: trace.rows(name, one) if name == result.inputs[0] else trace.tensor(name) for name in result.inputs}
    here = {
        name: x[:, one] if name != result.inputs[0] and "token" in trace.dims(name) else x for name, x in read.items()
    }
    shares = result.recompute(here)  # [H, 1, width]
    again = total.recompute({total.inputs[0]: shares})[0].double()  # [width]
    recorded = trace.tensor(total.output)[token].double()
    shares, offset = shares[:, 0].double(), again - shares[:, 0].double().sum(0)
    square = float(recorded @ recorded) or 1.0
    return HeadShares(
        token,
        total.output,
        shares.float().numpy(),
        shares.norm(dim=-1).numpy(),
        float(offset.norm()) if total.map.offset() is not None else 0.0,
        (shares @ recorded / square).numpy(),
        float((again - recorded).abs().max()),
        1e-4 * max(1.0, float(recorded.abs().max())),
    )


def written_norms(trace: Any, layer: int, head: int) -> npt.NDArray[np.float64] | None:
    """Norm of what a head would write if its whole weight were on one token: ``|v_j W_O|``, float64 [T]; None without weights."""
    pair = head_map_of_output(trace, layer)
    if pair is None:
        return None
    block = trace.anatomy.blocks[layer]
    matrix = pair[0].map.matrix().unflatten(1, (block.n_heads, -1))[:, head]  # [width, D]
    v = trace.tensor(f"blocks.{layer}.v")[kv_head(trace, layer, head)]  # [T, D]
    return np.asarray(torch.einsum("td,fd->tf", v.float(), matrix.float()).norm(dim=-1).double().numpy())


def weighted(pattern: Floats, norms: npt.NDArray[np.float64]) -> Floats:
    """Each weight times the norm of its transformed value: ``pattern[q, k] * |v_k W_O|``, float32 [T, T] (Kobayashi et al., arXiv:2004.10102)."""
    return (pattern * norms[None, :]).astype(np.float32)
