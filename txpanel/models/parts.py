"""Where the standard parts of a transformer are in a loaded model: modules, weights, and how fused weights are packed.

The parts are found by structure: which attributes a block has (:data:`NAMES`), and what shapes its tensors have. What structure cannot
tell stands in :mod:`txpanel.models.quirks`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.linear_map import LinearMap
from txpanel.models.quirks import Packing, Quirk

__all__ = ["NAMES", "BlockParts", "LinearMap", "ModelParts", "NormParts", "first", "norm_parts", "packed_rows"]


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
    """Modules and weights of one block; ``None`` where the block has no such part.

    Attributes:
        attn: what mixes the tokens: attention or what stands in its place. cross: its cross-attention.
        opaque: the modules of the parts that are not opened, by part.
        alone_differs: those of them that give other numbers when they are called alone than in a run.
        between: the model changes the stream between this block and the next one (RWKV halves it every few blocks).
    """

    block: nn.Module
    attn: nn.Module | None
    mlp: nn.Module | None
    quirk: Quirk
    cross: nn.Module | None = None
    opaque: dict[str, nn.Module] = field(default_factory=dict)
    alone_differs: set[str] = field(default_factory=set)
    between: bool = False
    maps: dict[str, LinearMap] = field(default_factory=dict)
    norms: dict[str, NormParts] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    activation: Callable[[Tensor], Tensor] | None = None
    sinks: Tensor | None = None
    distances: tuple[str, Tensor] | None = None
    """The table of a learned bias per distance and head, [rows, H], with its name."""
    router_bias: Tensor | None = None
    shared_outside: bool = False
    """Whether the shared expert is a module beside the mixture's module, not inside it."""


MATRICES_OF_ATTENTION = (
    "q", "k", "v", "o", "qkv", "q_norm", "k_norm", "v_norm", "z_gate", "q_latent", "q_latent_norm", "kv_down", "kv_up", "kv_latent", "kv_latent_norm",
    "k_rope", "k_nope", "distances",
)  # fmt: skip
"""Names of a block's matrices, norms and modules that are its attention's."""
MATRICES_OF_MLP = (
    "up", "gate", "down", "gate_up", "router", "experts", "shared_up", "shared_gate", "shared_down", "shared_gate_up", "shared_switch",
)  # fmt: skip
"""Those that are its MLP's."""


@dataclass
class ModelParts:
    """Modules and weights outside the blocks, and the blocks.

    Attributes:
        continues: whether a run can be cut anywhere and continued: keys and values can, the state of a recurrent layer can't.
        tuple_output: length of the tuple that a block returns; 0: it returns the stream alone.
        hands_on: a block passes more than the stream to the next one (T5: the bias of its scores).
    """

    blocks: list[BlockParts]
    names: dict[int, str]
    embed: nn.Module | None
    continues: bool = True
    tuple_output: int = 0
    hands_on: bool = False
    maps: dict[str, LinearMap] = field(default_factory=dict)
    norms: dict[str, NormParts] = field(default_factory=dict)
    tables: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    head_activation: Callable[[Tensor], Tensor] | None = None
    logit_bias: Tensor | None = None
    """A bias on the logits that is not part of the unembedding's own module."""

    @property
    def block_modules(self) -> list[nn.Module]:
        """The modules of the blocks, each once: some models go through the same one several times (ALBERT)."""
        return list(dict.fromkeys(part.block for part in self.blocks))

    def copied(self) -> ModelParts:
        """A copy in which parts can be closed without closing them here."""
        return _copied(self, blocks=[_copied(block) for block in self.blocks])


def _copied(parts: Any, **given: Any) -> Any:
    own = {one.name: getattr(parts, one.name) for one in fields(parts)}
    return replace(
        parts, **{name: copy(value) for name, value in own.items() if isinstance(value, (dict, set))} | given
    )


NAMES: dict[str, tuple[str, ...]] = {
    "ln1": (
        "input_layernorm", "ln_1", "norm_1", "ln_attn", "self_attn_layer_norm", "ln1", "operator_norm", "temporal_pre_norm", "norm", "norm_mlstm",
        "attention_layernorm", "attention.output.LayerNorm", "attention.ln", "attention.LayerNorm", "attention.self_attn_layer_norm", "attn_norm", "layernorm1",
        "sa_layer_norm",
        "layer.0.layer_norm",
    ),
    "ln2": (
        "pre_feedforward_layernorm", "ln_2", "norm_2", "ln_mlp", "final_layer_norm", "post_attention_layernorm", "ln2", "ffn_norm",
        "channel_pre_norm", "pre_ff_layernorm", "norm_ffn", "feedforward_layernorm", "pre_mlp_layernorm", "output.LayerNorm", "ln", "LayerNorm",
        "intermediate.LayerNorm", "mlp_norm", "layernorm2", "output_layer_norm", "full_layer_layer_norm",
        "layer.2.layer_norm", "layer.1.layer_norm",
    ),
    "cross": ("encoder_attn", "cross_attention", "cross_attn", "crossattention", "layer.1.EncDecAttention"),
    "cross_ln": (
        "encoder_attn_layer_norm", "cross_attention_layer_norm", "cross_attn_layer_norm", "ln_cross_attn", "layer.1.layer_norm",
    ),
    "post_ln1": ("attention.output.LayerNorm",),
    "attn": ("self_attn", "attn.attention", "attn", "self_attention", "attention.self", "attention", "multi_head_attention",
             "layer.0.SelfAttention"),
    "mlp": ("mlp", "ffn", "feed_forward", "block_sparse_moe", "mlp_block", "shared_mlp", "layer.2.DenseReluDense", "layer.1.DenseReluDense"),
    "q": ("q_proj", "query", "Wq", "q_lin", "q"),
    "cross_q": ("q_attn",),
    "k": ("k_proj", "key", "Wk", "k_lin", "k"),
    "v": ("v_proj", "value", "Wv", "v_lin", "v"),
    "qkv": ("c_attn", "query_key_value", "Wqkv", "qkv_proj"),
    "o": ("o_proj", "out_proj", "c_proj", "dense", "Wo", "out_lin", "o"),
    "block_o": ("attention.output.dense",),
    "attn_gate": ("gate_proj", "g_proj"),
    "v_norm": ("v_norm",),
    "q_norm": ("q_norm", "q_layernorm", "query_layernorm"),
    "k_norm": ("k_norm", "k_layernorm", "key_layernorm"),
    "up": ("up_proj", "c_fc", "fc1", "dense_h_to_4h", "fc_in", "w3", "intermediate.dense", "lin1", "wi_1", "wi", "0", "ffn"),
    "gate": ("gate_proj", "w1", "wi_0"),
    "gate_up": ("gate_up_proj", "input_linear", "Wi"),
    "down": ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2", "output.dense", "output_linear", "Wo", "wo", "lin2", "2", "ffn_output"),
    "act": ("act", "act_fn", "activation_fn", "gelu_impl", "intermediate.intermediate_act_fn", "activation", "1"),
    "router": ("gate", "router"),
    "shared": ("shared_experts", "shared_expert", "shared_mlp"),
    "shared_gate": ("shared_expert_gate",),
    "embed": ("wte", "embed_tokens", "embed_in", "word_embeddings", "tokens_embed", "embeddings"),
    "pos_embed": ("wpe", "embed_positions", "positions_embed"),
    "embed_norm": ("word_embeddings_layernorm",),
    "embed_norm_late": ("layernorm_embedding",),
    "own_pos_embed": ("position_embeddings",),
    "own_token_types": ("token_type_embeddings",),
    "own_embed_norm": ("LayerNorm", "layer_norm", "norm", "layernorm"),
    "own_embed_projection": ("embeddings_project", "embedding_hidden_mapping_in"),
    "outer_ln_final": ("LayerNorm",),
    "head_dense": (
        "cls.predictions.transform.dense", "lm_head.dense", "vocab_transform", "head.dense", "generator_predictions.dense", "predictions.dense",
        "lm_head.transform.dense", "cls.predictions.dense",
    ),
    "head_act": (
        "cls.predictions.transform.transform_act_fn", "head.act", "generator_predictions.activation", "predictions.activation", "lm_head.activation",
        "lm_head.transform.transform_act_fn", "cls.predictions.activation",
    ),
    "head_norm": (
        "cls.predictions.transform.LayerNorm", "lm_head.layer_norm", "vocab_layer_norm", "head.norm", "generator_predictions.LayerNorm",
        "predictions.LayerNorm", "lm_head.transform.LayerNorm", "cls.predictions.transform.layer_norm", "cls.predictions.LayerNorm",
    ),
    "ln_final": ("ln_f", "norm", "final_layer_norm", "final_layernorm", "norm_f", "final_norm", "emb_layer_norm_after", "ln_out", "out_norm",
        "embedding_norm", "ln", "layer_norm",),
}  # fmt: skip
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
    keys = ("eps", "variance_epsilon", "epsilon")
    stored = next((float(value) for key in keys if isinstance(value := getattr(module, key, None), (int, float))), None)
    eps = stored if stored is not None else 1e-6
    shape: Any = getattr(module, "normalized_shape", (16,))  # a norm without weights takes any size
    size = weight.shape[-1] if weight is not None else int(shape[-1])
    probe = torch.linspace(-1.0, 2.0, size, device=weight.device if weight is not None else None, dtype=torch.float32)
    probe = probe if weight is None else probe.to(weight.dtype).expand(weight.shape)
    with torch.inference_mode():
        got = module(probe[None, None]).float().reshape(probe.shape)
    probe = probe.float()
    scale = torch.ones(size, dtype=torch.float32) if weight is None else weight.detach().float()
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
                if stored is None:
                    eps = _measured_eps(
                        module, centred if kind == "LayerNorm" else probe, probe, scale + plus_one, shift
                    )
                return NormParts(module, name, kind, eps, weight, bias, plus_one)  # type: ignore[arg-type]
    words = _("'{name}' is neither a LayerNorm nor an RMSNorm ({kind}). Open another model, or report this one.")
    raise Unsupported(words.format(name=name, kind=type(module).__name__))


def _measured_eps(module: nn.Module, shape: Tensor, probe: Tensor, scale: Tensor, shift: Any) -> float:
    """The epsilon of a norm that keeps it in its code: from what it makes of a small vector, to two digits."""
    small, like = 1e-3, next(iter(module.parameters()), probe)
    with torch.inference_mode():
        got = module((probe * small).to(like)[None, None]).float().reshape(probe.shape)
    unit = (got - shift) / scale
    at = int((unit.abs() * (scale.abs() > 0.05)).flatten().argmax())
    x = float((shape * small).flatten()[at])
    eps = (x / float(unit.flatten()[at])) ** 2 - float((shape * small).pow(2).mean(-1).flatten()[0])
    return float(f"{max(eps, 0.0):.1e}")


def packed_rows(packing: Packing, part: int, n_heads: int, n_kv_heads: int, head_dim: int) -> Tensor:
    """Rows of a fused q, k, v weight that make q (``part`` 0), k (1) or v (2), ordered by head, then dimension: int64 [heads * head_dim]."""
    dims = torch.arange(head_dim)
    heads = torch.arange(n_heads if part == 0 else n_kv_heads)[:, None]
    if packing in ("thirds", "by-size"):
        start = (0, n_heads, n_heads + n_kv_heads)[part]
        return ((start + heads) * head_dim + dims).flatten()
    if packing == "per-head":
        return ((heads * 3 + part) * head_dim + dims).flatten()
    if packing == "quarters":
        share = n_heads // 4
        start = (0, 2, 1)[part]
        return ((((heads // share) * 3 + start) * share + heads % share) * head_dim + dims).flatten()
    group = n_heads // n_kv_heads
    slot = (heads // group) * (group + 2) + heads % group if part == 0 else heads * (group + 2) + group + part - 1
    return (slot * head_dim + dims).flatten()
