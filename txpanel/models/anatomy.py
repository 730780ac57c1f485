"""The shape of a model, as plain facts: what the loaded modules, tensors and config say about it.

An :class:`Anatomy` holds no tensor and no module. It is enough to list every operation of the model
(:mod:`txpanel.tracing.graph.build`), is saved with traces as JSON, and is what the views draw a model from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

NormKind = Literal["LayerNorm", "RMSNorm"]
NormPlace = Literal["pre", "post", "sandwich", "branch"]
"""Where a block's norms stand. ``pre``: before each sublayer; ``post``: after each residual add (the original
transformer, OPT-350M); ``sandwich``: before each sublayer and again before its output is added (Gemma 2 and 3);
``branch``: only on each sublayer's output, before it is added (OLMo 2)."""


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary position embedding (RoFormer, arXiv:2104.09864): pairs of dimensions are rotated by angles that grow with the position.

    Attributes:
        dims: how many of the head's dimensions are rotated; the rest pass through.
        base: theta in ``angle_j = position * theta ** (-2 j / dims)``; ``None`` where the config does not give it.
        layout: which dimensions form a pair. ``half``: i and i + dims/2; ``interleaved``: 2i and 2i + 1;
            ``split``: read as 2i and 2i + 1, written as i and i + dims/2 (DeepSeek).
        offset: index of the first rotated dimension in the head.
    """

    dims: int
    base: float | None
    layout: Literal["half", "interleaved", "split"] = "half"
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): q and k, v come from narrow latent vectors.

    Attributes:
        q_rank: width of the latent vector of q; ``None``: q is projected directly. kv_rank: width of that of k and v.
        nope_dims: dimensions of q and k per head without position. rope_dims: those with rotary position.
    """

    q_rank: int | None
    kv_rank: int
    nope_dims: int
    rope_dims: int


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts: each token's vector goes through ``k`` of ``n`` MLPs.

    Attributes:
        n: number of routed experts. k: how many a token uses. shared: neurons of the expert that every token uses (0: none).
        router: how the router's logits become weights. ``softmax-topk``: softmax over all, keep k; ``softmax-topk-norm``: the same, then
            divided by their sum; ``topk-softmax``: keep k, softmax over these; ``sigmoid-groups``: sigmoid, then groups, then experts (DeepSeek-V3).
        groups: in how many groups the experts stand. kept_groups: how many of them a token may use. normalised: whether the weights
            are divided by their sum. factor: on the weights. These four: of ``sigmoid-groups`` only.
    """

    n: int
    k: int
    shared: int
    router: Literal["softmax-topk", "softmax-topk-norm", "topk-softmax", "sigmoid-groups"]
    groups: int = 1
    kept_groups: int = 1
    normalised: bool = True
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class BlockAnatomy:
    """One decoder block.

    Attributes:
        head_dim: numbers per query and key of a head. value_dim: numbers per value of a head.
        n_neurons: width of the MLP's inner layer (of one expert in a mixture).
        parallel: attention and MLP both read the block's input, and both are added at once.
        shared_norm: a parallel block with a single norm for both.
        norm_residual: the residual goes on from the norm's output instead of the block's input (a BLOOM flag).
        qk_norm: ``head``: one norm shared by all heads; ``per-head``: own weights per head; ``all``: over all heads together.
        rotary: ``None`` without rotary embedding. alibi: position enters as a bias on the scores (arXiv:2108.12409).
        window: how many tokens back a query can look, ``None``: all. sinks: a learned extra logit per head in the softmax.
        softcap: scores go through cap*tanh(x/cap). scaling: factor on q.k. q_factor: factor on q before anything else (OPT).
        gated: the MLP multiplies act(gate) by a second projection. gate_kind: ``clamped`` is GPT-OSS's own variant.
        swiglu_limit, swiglu_alpha: that variant's two constants.
        residual_multiplier: factor on what attention and MLP add (Granite).
        norm_eps: epsilon of each norm, by the norm's name.
    """

    index: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    value_dim: int
    n_neurons: int
    norm_kind: NormKind
    norm_place: NormPlace
    activation: str
    scaling: float
    parallel: bool = False
    shared_norm: bool = False
    norm_residual: bool = False
    qk_norm: Literal["head", "per-head", "all"] | None = None
    qk_norm_kind: NormKind = "RMSNorm"
    rotary: Rotary | None = None
    alibi: bool = False
    window: int | None = None
    sinks: bool = False
    softcap: float | None = None
    q_factor: float = 1.0
    gated: bool = False
    gate_kind: Literal["plain", "clamped"] = "plain"
    swiglu_limit: float = 0.0
    swiglu_alpha: float = 0.0
    experts: Experts | None = None
    latent: Latent | None = None
    residual_multiplier: float = 1.0
    attn_bias: bool = False
    mlp_bias: bool = False
    norm_eps: dict[str, float] = field(default_factory=dict)

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.n_heads // self.n_kv_heads


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A whole decoder-only model.

    Attributes:
        family: the config's ``model_type``. width: numbers in the residual stream. embed_width: numbers in a row of the token table.
        max_tokens: positions the model was built for. tied: the unembedding reuses the token table.
        embed_scale: factor on the token's row (Gemma: sqrt(width); Granite: a config value). embed_norm: a norm right after (BLOOM).
        final_norm: kind of the last norm, ``None`` where there is none. logit_scale: factor on the logits. logit_softcap: cap*tanh(x/cap) on them.
    """

    family: str
    n_layers: int
    width: int
    vocab: int
    max_tokens: int
    positions: Literal["learned", "rotary", "alibi", "none"]
    tied: bool
    parameters: int
    blocks: tuple[BlockAnatomy, ...]
    embed_width: int
    embed_scale: float = 1.0
    embed_norm: bool = False
    embed_norm_kind: NormKind = "LayerNorm"
    embed_projection: bool = False
    position_offset: int = 0
    final_norm: NormKind | None = "RMSNorm"
    output_projection: bool = False
    logit_scale: float = 1.0
    logit_softcap: float | None = None
    logit_bias: bool = False
    norm_eps: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready nested dicts, lists and numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Anatomy:
        """The inverse of :meth:`as_dict`.

        Raises:
            TypeError, KeyError, ValueError: if ``data`` does not describe an anatomy.
        """
        blocks = tuple(_block(block) for block in data["blocks"])
        known = {field.name for field in fields(cls)}
        return cls(**{**{key: value for key, value in data.items() if key in known}, "blocks": blocks})


def _block(data: dict[str, Any]) -> BlockAnatomy:
    nested = {"rotary": Rotary, "experts": Experts, "latent": Latent}
    values = {
        key: nested[key](**value) if key in nested and value is not None else value for key, value in data.items()
    }
    return BlockAnatomy(**values)
