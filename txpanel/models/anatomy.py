"""The shape of a model, as plain facts: what the loaded modules, tensors and config say about it.

An :class:`Anatomy` holds no tensor and no module. It is enough to list every operation of the model
(:mod:`txpanel.tracing.graph.build`), is saved with traces as JSON, and is what the views draw a model from.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        offset: index of the first rotated dimension in the head. backwards: the pairs are turned the other way (NanoChat).
    """

    dims: int
    base: float | None
    layout: Literal["half", "interleaved", "split"] = "half"
    offset: int = 0
    backwards: bool = False


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
            divided by their sum; ``topk-softmax``: keep k, softmax over these; ``sigmoid-groups``: sigmoid, then groups, then experts (DeepSeek-V3);
            ``softmax`` and ``sigmoid``: the k highest scores, a bias added for the choice alone.
        groups: in how many groups the experts stand. kept_groups: how many of them a token may use. normalised: whether the weights
            are divided by their sum. factor: on the weights. These four: of the last three kinds only. chosen_by_logits: the bias is added to the
            logits instead of the scores. outer: factor on the sum of the experts. switch: the shared expert has a gate, one number per token.
    """

    n: int
    k: int
    shared: int
    router: Literal["softmax-topk", "softmax-topk-norm", "topk-softmax", "sigmoid-groups", "softmax", "sigmoid"]
    groups: int = 1
    kept_groups: int = 1
    normalised: bool = True
    factor: float = 1.0
    chosen_by_logits: bool = False
    outer: float = 1.0
    switch: bool = False


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter does to one matrix; how: :mod:`txpanel.models.linear_map`.

    Attributes:
        name: the adapter's name. method: ``LoRA``, ``DoRA``, ``IA3`` (factors on outputs) or ``IA3 inputs``.
        rank: of the update; 0 for IA3. alpha: as configured. scale: on the update. size: inputs of the matrix.
        latent: short name of the tensor ``A x``; gain: of the tensor of DoRA's factors. Empty where there is none.
    """

    name: str
    method: str
    rank: int = 0
    alpha: float = 0.0
    scale: float = 1.0
    size: int = 0
    latent: str = ""
    gain: str = ""


@dataclass(frozen=True, slots=True)
class Relative:
    """A learned number per head and distance, added to the scores (T5, arXiv:1910.10683): far distances share one.

    Attributes:
        buckets: rows of the table. max_distance: from which on all distances share the last row.
        both_ways: half of the rows are for keys after the query.
    """

    buckets: int
    max_distance: int
    both_ways: bool = False


@dataclass(frozen=True, slots=True)
class Cross:
    """Cross-attention: queries from the decoder's stream, keys and values from the encoder's last state. No mask: every token of the source is seen.

    Attributes: as those of :class:`BlockAnatomy`; bias: its projections have one.
    """

    n_heads: int
    n_kv_heads: int
    head_dim: int
    value_dim: int
    scaling: float
    q_factor: float = 1.0
    softcap: float | None = None
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Encoder:
    """What reads the source; it is run by its own code.

    Attributes:
        module: its path in the model. blocks: those of its blocks; empty where the streams between them are not known.
        made_by: class of the blocks. size: parameters of the whole. reads: the argument that is a sound or a picture, such as ``input_features``;
            "": it reads token ids. axes: how many that tensor has.
    """

    module: str
    blocks: tuple[str, ...]
    made_by: str
    size: int
    reads: str = ""
    axes: int = 0


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
        qk_norm_late: these norms come after the rotation (usually: before).
        rotary: ``None`` without rotary embedding. alibi: position enters as a bias on the scores (arXiv:2108.12409).
        window: how many tokens back a query can attend to, ``None``: all. sinks: a learned extra logit per head in the softmax.
        causal: no query sees a later key. clip: q, k and v are kept within so far from zero.
        gate: what heads give is multiplied by this function of a projection of their own (arXiv:2505.06708), number by number or
            (gate_per_head) one for a head. v_norm: kind of a norm of each head's values.
        softcap: scores go through cap*tanh(x/cap). scaling: factor on q.k. q_factor: factor on q before anything else (OPT);
            v_factor: on v (MiMo).
        gated: the MLP multiplies act(gate) by a second projection. gate_kind: ``clamped`` is GPT-OSS's own variant.
        swiglu_limit, swiglu_alpha: that variant's two constants.
        residual_multiplier: factor on what attention and MLP add (Granite).
        norm_eps: epsilon of each norm, by the norm's name.
        adapters: what adapters that are on do to its matrices, by the matrix (``q``, ``k``, ``v``, ``o``, ``up``, ``gate``, ``down``, ...).
        quantised: by which method a matrix is kept in fewer bits, by the matrix.
        kind: what mixes the tokens: ``attention``, ``mamba``, ``mamba2``, ``convolution``, ``linear attention``, ``recurrent``, ``rwkv``,
            ``hybrid`` (several at once), ``mlp`` (nothing: the block is an MLP alone), or ``unknown``.
        opaque: why a part is not opened, by the part: ``mixer`` (attention or what stands in its place), ``mlp``, a norm (``ln1``, ``ln2``,
            ``attn_norm``, ``mlp_norm``), or ``block``: the block as a whole. Such a part is run by calling its module.
        modules: path in the model of each opaque part's module. made_by: the name of its class. sizes: its parameters.
        mlp_there: whether the block has an MLP at all, opened or not.
        relative: how a learned bias follows from the distance; ``None``: there is none.
        cross: its cross-attention, after attention and before the MLP; ``None``: it has none, or none that is opened (part ``cross`` of `opaque`).
    """

    index: int
    n_heads: int = 0
    n_kv_heads: int = 0
    head_dim: int = 0
    value_dim: int = 0
    n_neurons: int = 0
    norm_kind: NormKind = "RMSNorm"
    norm_place: NormPlace = "pre"
    activation: str = ""
    scaling: float = 1.0
    parallel: bool = False
    shared_norm: bool = False
    norm_residual: bool = False
    qk_norm: Literal["head", "per-head", "all"] | None = None
    qk_norm_kind: NormKind = "RMSNorm"
    qk_norm_late: bool = False
    rotary: Rotary | None = None
    alibi: bool = False
    window: int | None = None
    causal: bool = True
    clip: float | None = None
    sinks: bool = False
    gate: Literal["", "sigmoid", "softplus"] = ""
    gate_per_head: bool = False
    v_norm: NormKind | None = None
    softcap: float | None = None
    q_factor: float = 1.0
    v_factor: float = 1.0
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
    adapters: dict[str, tuple[Adapter, ...]] = field(default_factory=dict)
    quantised: dict[str, str] = field(default_factory=dict)
    kind: str = "attention"
    opaque: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    mlp_there: bool = True
    relative: Relative | None = None
    cross: Cross | None = None

    @property
    def cross_there(self) -> bool:
        """Whether the block has a cross-attention, opened or not."""
        return self.cross is not None or "cross" in self.opaque

    @property
    def group(self) -> int:
        """How many query heads share one key/value head; 0 where no attention is opened."""
        return self.n_heads // self.n_kv_heads if self.n_kv_heads else 0

    @property
    def has_mixer(self) -> bool:
        """Whether the block has an attention, or something in its place, opened or not."""
        return self.kind != "mlp"

    @property
    def has_attention(self) -> bool:
        """Whether the block has an attention that is opened: heads, scores, pattern."""
        return self.kind == "attention" and not {"mixer", "block"} & self.opaque.keys()

    @property
    def has_mlp(self) -> bool:
        """Whether the block has an MLP that is opened: neurons."""
        return self.mlp_there and not {"mlp", "block"} & self.opaque.keys()

    @property
    def replayed(self) -> str | None:
        """A tensor that is always kept when the block is run again; ``None``: it is run as a whole, and has none."""
        if "block" in self.opaque:
            return None
        mlp = "mlp_in" if not self.has_mlp else "router" if self.experts else "mlp_post"
        return "q" if self.has_attention else "mixer_in" if self.has_mixer else mlp


OF_ATTENTION = (
    "n_heads", "n_kv_heads", "head_dim", "value_dim", "scaling", "qk_norm", "qk_norm_kind", "qk_norm_late", "rotary", "alibi", "window", "clip",
    "sinks", "gate", "gate_per_head", "v_norm", "softcap", "q_factor", "v_factor", "latent", "attn_bias", "relative",
)  # fmt: skip
"""Fields of a block that describe an opened attention. Not ``causal``, which is also known of a closed one."""
OF_MLP = ("n_neurons", "activation", "gated", "gate_kind", "swiglu_limit", "swiglu_alpha", "experts", "mlp_bias")
"""Fields of a block that describe an opened MLP."""


def defaults(names: Iterable[str]) -> dict[str, Any]:
    """The default values of these fields, as a block without that part has them."""
    empty = BlockAnatomy(0)
    return {name: getattr(empty, name) for name in names}


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A whole model: a decoder, an encoder that fills gaps, or the decoder of an encoder-decoder.

    Attributes:
        family: the config's ``model_type``. width: numbers in the residual stream. embed_width: numbers in a row of the token table.
        max_tokens: positions the model was built for. tied: the unembedding reuses the token table.
        embed_scale: factor on the token's row (Gemma: sqrt(width); Granite: a config value). embed_norm: a norm right after (BLOOM).
        embed_after: positions and token types are added to the token's row first, then come norm and projection (BERT).
        token_types: a row of a table says to which of two texts a token belongs; a run has one text. position_offset: rows of the table of
            positions that are skipped. position_pad: id of the padding token, where positions are counted without it (RoBERTa).
        mask_dropped: id of the mask token, where its row counts as zero and the others are scaled by how many masks there are (ESM).
        fills: it fills gaps: its logits at a token say which one stands in that very place.
        head: name of the activation between two matrices before the logits, '' where there is no such head. head_norm: kind of the norm after it.
        head_width: numbers that it gives.
        adapters, quantised: as of a block, of ``unembed``, ``embed_projection`` and ``output_projection``.
        final_norm: kind of the last norm, ``None`` where there is none. logit_scale: factor on the logits. logit_softcap: cap*tanh(x/cap) on them.
        opaque: why a part outside the blocks is not opened: ``embed`` (from token ids to the first stream), ``output`` (from the last stream
            to the logits). encoder: what reads the source; ``None``: there is none.
    """

    family: str
    n_layers: int
    width: int
    vocab: int
    max_tokens: int
    positions: Literal["learned", "rotary", "alibi", "relative", "none"]
    tied: bool
    parameters: int
    blocks: tuple[BlockAnatomy, ...]
    embed_width: int
    embed_scale: float = 1.0
    embed_norm: bool = False
    embed_norm_kind: NormKind = "LayerNorm"
    embed_norm_late: bool = False
    embed_projection: bool = False
    embed_after: bool = False
    token_types: bool = False
    position_offset: int = 0
    position_pad: int | None = None
    mask_dropped: int | None = None
    fills: bool = False
    final_norm: NormKind | None = "RMSNorm"
    output_projection: bool = False
    head: str = ""
    head_norm: NormKind | None = None
    head_width: int = 0
    logit_scale: float = 1.0
    logit_softcap: float | None = None
    logit_bias: bool = False
    norm_eps: dict[str, float] = field(default_factory=dict)
    adapters: dict[str, tuple[Adapter, ...]] = field(default_factory=dict)
    quantised: dict[str, str] = field(default_factory=dict)
    opaque: dict[str, str] = field(default_factory=dict)
    encoder: Encoder | None = None

    @property
    def has_attention(self) -> bool:
        """Whether any block has an attention that is opened."""
        return any(block.has_attention for block in self.blocks)

    @property
    def cross_there(self) -> bool:
        """Whether any block has a cross-attention, opened or not."""
        return any(block.cross_there for block in self.blocks)

    @property
    def causal(self) -> bool:
        """Whether no token's numbers depend on a later one, so that those of a shorter text are still right in a longer one."""
        return not self.fills and all(block.causal for block in self.blocks)

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
        given = {key: value for key, value in data.items() if key in known}
        read = given.get("encoder")
        encoder = None if read is None else Encoder(**{**read, "blocks": tuple(read["blocks"])})
        return cls(**{**given, "blocks": blocks, "adapters": _adapters(data), "encoder": encoder})


def _block(data: dict[str, Any]) -> BlockAnatomy:
    nested = {"rotary": Rotary, "experts": Experts, "latent": Latent, "relative": Relative, "cross": Cross}
    values = {
        key: nested[key](**value) if key in nested and value is not None else value for key, value in data.items()
    }
    return BlockAnatomy(**{**values, "adapters": _adapters(data)})


def _adapters(data: dict[str, Any]) -> dict[str, tuple[Adapter, ...]]:
    """The adapters of a block or model; files of earlier versions have none."""
    return {part: tuple(Adapter(**one) for one in found) for part, found in data.get("adapters", {}).items()}
