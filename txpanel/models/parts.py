"""Where the standard parts of a transformer are in a loaded model: modules, weights, and how fused weights are packed.

The parts are found by structure: which attributes a block has (:data:`NAMES`), and what shapes its tensors have. What structure cannot
tell stands in :mod:`txpanel.models.quirks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.models.quirks import Packing, Quirk


@dataclass(frozen=True)
class LinearMap:
    """A matrix inside a parameter: ``y[o] = sum_i x[i] W[o, i] + b[o]``.

    Attributes:
        name: the parameter's own name in the model, by which terms refer to it.
        stored: the parameter. transposed: it is stored as [in, out] (GPT-2's Conv1D).
        rows: int64, which of its outputs this map uses, in order; ``None``: all.
        stacked: the parameter has a leading axis of experts.
    """

    name: str
    stored: Tensor
    transposed: bool = False
    rows: Tensor | None = None
    bias: Tensor | None = None
    bias_name: str = ""
    stacked: bool = False

    @property
    def outputs(self) -> int:
        """How many outputs this map has."""
        return len(self.rows) if self.rows is not None else int(self.stored.shape[-1 if self.transposed else -2])

    def matrix(self, expert: int | None = None) -> Tensor:
        """Float32 [out, in]."""
        weight = self.stored[expert] if self.stacked else self.stored
        weight = weight.T if self.transposed else weight
        return (weight if self.rows is None else weight[self.rows]).float()

    def row(self, out: int, expert: int | None = None) -> Tensor:
        """Float32 [in]: the weights that make output ``out``."""
        weight = self.stored[expert] if self.stacked else self.stored
        line = self._line(out)
        return (weight[:, line] if self.transposed else weight[line]).float()

    def offset(self, expert: int | None = None) -> Tensor | None:
        """Float32 [out]: the bias, or ``None``."""
        if self.bias is None:
            return None
        bias = self.bias[expert] if self.stacked else self.bias
        return (bias if self.rows is None else bias[self.rows]).float()

    def weight_index(self, out: int, column: int, expert: int | None = None) -> dict[str, int]:
        """Index of the weight from input ``column`` to output ``out`` in the stored parameter."""
        line = self._line(out)
        index = {"row": column, "column": line} if self.transposed else {"row": line, "column": column}
        return {"expert": expert, **index} if expert is not None and self.stacked else index

    def bias_index(self, out: int, expert: int | None = None) -> dict[str, int]:
        """Index of the bias of output ``out`` in the stored parameter; of experts, one row each."""
        return (
            {"row": expert, "column": self._line(out)}
            if expert is not None and self.stacked
            else {"row": self._line(out)}
        )

    def _line(self, out: int) -> int:
        return out if self.rows is None else int(self.rows[out])


@dataclass(frozen=True)
class NormParts:
    """A norm's module and numbers.

    Attributes:
        weight: as stored; Gemma multiplies by 1 + stored (``plus_one``). [H, D] where every head has its own.
        separate: the heads' weights are parameters of their own, ``{name}.norms.{head}.weight``.
    """

    module: nn.Module
    name: str
    kind: Literal["LayerNorm", "RMSNorm"]
    eps: float
    weight: Tensor | None
    bias: Tensor | None
    plus_one: bool = False
    separate: bool = False


@dataclass
class BlockParts:
    """Modules and weights of one block; ``None`` where the block has no such part."""

    block: nn.Module
    attn: nn.Module
    mlp: nn.Module
    quirk: Quirk
    maps: dict[str, LinearMap] = field(default_factory=dict)
    norms: dict[str, NormParts] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    activation: Callable[[Tensor], Tensor] | None = None
    sinks: Tensor | None = None
    router_bias: Tensor | None = None


@dataclass
class ModelParts:
    """Modules and weights outside the blocks, and the blocks."""

    blocks: list[BlockParts]
    names: dict[int, str]
    embed: nn.Module
    maps: dict[str, LinearMap] = field(default_factory=dict)
    norms: dict[str, NormParts] = field(default_factory=dict)
    tables: dict[str, tuple[str, Tensor]] = field(default_factory=dict)


NAMES: dict[str, tuple[str, ...]] = {
    "ln1": ("input_layernorm", "ln_1", "norm_1", "ln_attn", "self_attn_layer_norm"),
    "ln2": ("pre_feedforward_layernorm", "ln_2", "norm_2", "ln_mlp", "final_layer_norm", "post_attention_layernorm"),
    "attn": ("self_attn", "attn.attention", "attn", "self_attention", "attention"),
    "mlp": ("mlp", "ffn", "feed_forward", "block_sparse_moe"),
    "q": ("q_proj",),
    "k": ("k_proj",),
    "v": ("v_proj",),
    "qkv": ("c_attn", "query_key_value", "Wqkv", "qkv_proj"),
    "o": ("o_proj", "out_proj", "c_proj", "dense"),
    "q_norm": ("q_norm", "q_layernorm"),
    "k_norm": ("k_norm", "k_layernorm"),
    "up": ("up_proj", "c_fc", "fc1", "dense_h_to_4h", "fc_in", "w3"),
    "gate": ("gate_proj", "w1"),
    "gate_up": ("gate_up_proj",),
    "down": ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2"),
    "act": ("act", "act_fn", "activation_fn", "gelu_impl"),
    "router": ("gate", "router"),
    "shared": ("shared_experts", "shared_expert"),
    "embed": ("wte", "embed_tokens", "embed_in", "word_embeddings", "tokens_embed"),
    "pos_embed": ("wpe", "embed_positions", "positions_embed"),
    "embed_norm": ("word_embeddings_layernorm",),
    "ln_final": ("ln_f", "norm", "final_layer_norm", "final_layernorm", "norm_f"),
}
"""Attribute names that families give to the standard parts, in order of preference."""


def first(owner: nn.Module, part: str) -> Any:
    """The first attribute of ``owner`` that :data:`NAMES` lists for ``part`` and that is not ``None``; else ``None``."""
    for path in NAMES[part]:
        found: Any = owner
        for step in path.split("."):
            found = getattr(found, step, None)
        if found is not None:
            return found
    return None


def norm_parts(module: nn.Module, name: str) -> NormParts:
    """Kind and numbers of a norm module.

    Raises:
        Unsupported: if the module computes neither LayerNorm nor RMSNorm (checked by running it).
    """
    weight = getattr(module, "weight", None)
    bias = getattr(module, "bias", None)
    eps = next(
        (float(getattr(module, key)) for key in ("eps", "variance_epsilon", "epsilon") if hasattr(module, key)), 1e-6
    )
    size = weight.shape[-1] if weight is not None else int(module.normalized_shape[-1])  # type: ignore[index]
    probe = torch.linspace(-1.0, 2.0, size, device=weight.device if weight is not None else None)
    probe = probe if weight is None else probe.to(weight.dtype).expand(weight.shape)
    with torch.inference_mode():
        got = module(probe[None, None]).float().reshape(probe.shape)
    probe = probe.float()
    scale = torch.ones(size) if weight is None else weight.detach().float()
    shift = 0.0 if bias is None else bias.detach().float()
    centred = probe - probe.mean(-1, keepdim=True)
    by_kind = {
        "LayerNorm": centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps),
        "RMSNorm": probe * torch.rsqrt(probe.pow(2).mean(-1, keepdim=True) + eps),
    }
    tolerance = 1e-4 if weight is None or weight.dtype == torch.float32 else 0.1
    for kind, unit in by_kind.items():
        for plus_one in (False, True):
            if torch.allclose(unit * (scale + plus_one) + shift, got, rtol=tolerance, atol=tolerance):
                return NormParts(module, name, kind, eps, weight, bias, plus_one)  # type: ignore[arg-type]
    raise Unsupported(
        f"The norm '{name}' is neither a LayerNorm nor an RMSNorm ({type(module).__name__}), so its numbers can't be explained. "
        "Please open another model, or report this one."
    )


def packed_rows(packing: Packing, part: int, n_heads: int, n_kv_heads: int, head_dim: int) -> Tensor:
    """Rows of a fused q, k, v weight that make q (``part`` 0), k (1) or v (2), ordered by head, then dimension: int64 [heads * head_dim]."""
    dims = torch.arange(head_dim)
    heads = torch.arange(n_heads if part == 0 else n_kv_heads)[:, None]
    if packing in ("thirds", "by-size"):
        start = (0, n_heads, n_heads + n_kv_heads)[part]
        return ((start + heads) * head_dim + dims).flatten()
    if packing == "per-head":
        return ((heads * 3 + part) * head_dim + dims).flatten()
    group = n_heads // n_kv_heads
    slot = (heads // group) * (group + 2) + heads % group if part == 0 else heads * (group + 2) + group + part - 1
    return (slot * head_dim + dims).flatten()
