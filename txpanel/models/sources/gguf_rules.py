"""What the settings of a GGUF file mean, for each architecture that was tried: the configuration that transformers has for the same model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _
from txpanel.models.sources.gguf_content import Content
from txpanel.models.sources.gguf_rope import rope

NEUTRAL: dict[str, tuple[Any, ...] | None] = {
    "vocab_size": None, "rope.scaling.finetuned": None, "expert_count": (0,), "expert_used_count": (0,), "attention.causal": (True,),
    "attention.sliding_window": (0,), "attention.clamp_kqv": (0,), "attention.max_alibi_bias": (0,), "logit_scale": (0, 1), "nextn_predict_layers": (0,),
    "attn_logit_softcapping": (0,), "final_logit_softcapping": (0,), "use_parallel_residual": (False,), "leading_dense_block_count": (0,),
}  # fmt: skip
"""Settings that change nothing with these values, whatever the architecture; None: with any."""
Settings = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """How the files of one architecture are read.

    Attributes:
        family: transformers' `model_type`. more: further settings of its configuration, from the file.
        norm: key of the norms' epsilon in the file and in the configuration.
        interleaved: whether the rotary pairs of q and k stand side by side in the file. less_one: whether norms are stored with 1 added.
        transposed: names of modules whose weights are stored the other way round. theta: the rotary base where none is stated; None: no rotation.
    """

    family: str
    more: Callable[[Content, Settings], Settings] = field(default=lambda _content, _settings: {})
    norm: tuple[str, str] = ("layer_norm_rms_epsilon", "rms_norm_eps")
    interleaved: bool = False
    less_one: bool = False
    transposed: tuple[str, ...] = ()
    theta: float | None = 10_000.0


def settings(content: Content) -> tuple[Rules, Settings]:
    """The rules for a file and its configuration.

    Raises:
        Unsupported: an architecture or a setting that is not known here. BadFile: a setting is missing.
    """
    rules = ARCHITECTURES.get(content.architecture)
    if rules is None:
        text = _("{path} has the architecture “{name}”. txpanel reads GGUF files of: {known}.")
        raise Unsupported(text.format(path=content.path, name=content.architecture, known=", ".join(ARCHITECTURES)))
    if "token_embd.weight" not in content.tensors:
        raise BadFile(
            _("{path} is incomplete: 1 tensor is missing, {first}. No weight is ever filled in.").format(
                path=content.path, first="token_embd.weight"
            )
        )
    blocks = content.count("block_count", least=0)
    if (
        not 0 < blocks <= len(content.tensors)
    ):  # else a model of so many blocks would be built before the missing tensors are noticed
        text = _("{path} is damaged: it says that it has {n} blocks, and has {all} tensors.")
        raise BadFile(text.format(path=content.path, n=blocks, all=len(content.tensors)))
    made: Settings = {
        "model_type": rules.family,
        "hidden_size": content.count("embedding_length"),
        "num_hidden_layers": blocks,
        "num_attention_heads": content.count("attention.head_count"),
        "max_position_embeddings": content.count("context_length"),
        "intermediate_size": content.count("feed_forward_length"),
        rules.norm[1]: content.number(f"attention.{rules.norm[0]}", least=0),
        "vocab_size": int(content.tensors["token_embd.weight"].shape[-1]),
        "tie_word_embeddings": "output.weight" not in content.tensors,
        "bos_token_id": content.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": content.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": content.get("tokenizer.ggml.padding_token_id"),
    }
    made["num_key_value_heads"] = content.count("attention.head_count_kv", made["num_attention_heads"])
    if rules.theta is not None:
        made |= _heads(content, made)
        made["rope_parameters"] = rope(content, rules.theta, made["max_position_embeddings"], made["turned"] // 2)
    made |= rules.more(content, made)
    content.refuse_left(NEUTRAL)
    return rules, made


def _heads(content: Content, made: Settings) -> Settings:
    """The size of a head; queries, values and what is rotated of them have to agree, unless `more` says otherwise."""
    usual, left = divmod(made["hidden_size"], made["num_attention_heads"])
    size = content.count("attention.key_length", usual)
    if made["num_attention_heads"] % made["num_key_value_heads"] or (left and size == usual):
        text = _("{path} is damaged: {heads} heads that share {kv} keys do not fit vectors of {width} numbers.")
        heads, kv = made["num_attention_heads"], made["num_key_value_heads"]
        raise BadFile(text.format(path=content.path, heads=heads, kv=kv, width=made["hidden_size"]))
    value, turned = content.count("attention.value_length", size), content.count("rope.dimension_count", size)
    if value != size:
        raise Unsupported(
            _("{path}: its keys and values have different sizes, which txpanel does not support.").format(
                path=content.path
            )
        )
    if turned > size or turned % 2:
        text = _("{path} is damaged: it says that {n} of the {all} numbers of a head are rotated, in pairs.")
        raise BadFile(text.format(path=content.path, n=turned, all=size))
    return {"head_dim": size, "turned": turned}


def _has(content: Content, name: str) -> bool:
    return f"blk.0.{name}" in content.tensors


def _whole(content: Content, made: Settings) -> Settings:
    """For families that rotate all of a head."""
    turned = made.pop("turned")
    if turned != made["head_dim"]:
        text = _("{path}: only {n} of {all} numbers of a head are rotated, which {family} does not do in transformers.")
        raise Unsupported(text.format(path=content.path, n=turned, all=made["head_dim"], family=made["model_type"]))
    return {}


def _partial(content: Content, made: Settings) -> Settings:
    """For families that may rotate a part of a head."""
    share = made.pop("turned") / made["head_dim"]
    parameters = {**made["rope_parameters"], "partial_rotary_factor": share}
    return {"partial_rotary_factor": share, "rope_parameters": parameters}


def _llama(content: Content, made: Settings) -> Settings:
    return _whole(content, made) | {
        "attention_bias": _has(content, "attn_q.bias"),
        "mlp_bias": _has(content, "ffn_up.bias"),
    }


def _granite(content: Content, made: Settings) -> Settings:
    scales = {"embedding_scale": "embedding_multiplier", "residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier",
              "logit_scale": "logits_scaling"}  # fmt: skip
    return _llama(content, made) | {name: content.number(key) for key, name in scales.items()}


def _qwen2(content: Content, made: Settings) -> Settings:
    own = _whole(content, made)
    if made.pop("head_dim") * made["num_attention_heads"] != made["hidden_size"]:
        raise Unsupported(
            _("{path}: txpanel does not know heads of this size in {family}.").format(path=content.path, family="qwen2")
        )
    return own | {"use_sliding_window": False}


def _qwen3(content: Content, made: Settings) -> Settings:
    return _whole(content, made) | {"use_sliding_window": False, "attention_bias": _has(content, "attn_q.bias")}


def _olmo2(content: Content, made: Settings) -> Settings:
    return _whole(content, made) | {"attention_bias": _has(content, "attn_q.bias")}


def _gemma(content: Content, made: Settings) -> Settings:
    """Soft-caps, window and the scale of the scores, which the largest size of each generation takes from the width instead of the head."""
    own, blocks = _whole(content, made), made["num_hidden_layers"]
    largest = {"gemma2": 46, "gemma3": 62}[content.architecture]
    usual = {"gemma2": (50.0, 30.0), "gemma3": (0.0, 0.0)}[content.architecture]
    keys = ("attn_logit_softcapping", "final_logit_softcapping")
    caps = {key: content.number(key, value, least=0) or None for key, value in zip(keys, usual, strict=True)}
    own |= caps | {"sliding_window": content.count("attention.sliding_window")}
    own["query_pre_attn_scalar"] = (
        made["hidden_size"] / made["num_attention_heads"] if blocks == largest else made["head_dim"]
    )
    if content.architecture == "gemma3":
        local = content.number("rope.freq_base_swa", 10_000.0)
        own["rope_parameters"] = {
            "full_attention": made["rope_parameters"],
            "sliding_attention": {"rope_type": "default", "rope_theta": local},
        }
        every = content.count("attention.sliding_window_pattern", 6)
        own["layer_types"] = ["sliding_attention" if (n + 1) % every else "full_attention" for n in range(blocks)]
    elif made["rope_parameters"]["rope_type"] != "default":
        raise Unsupported(
            _("{path}: txpanel does not know scaled positions in {family}.").format(path=content.path, family="gemma2")
        )
    return own


def _phi3(content: Content, made: Settings) -> Settings:
    own = _partial(content, made)
    made.pop("head_dim")
    parameters = own["rope_parameters"]
    return own | {
        "sliding_window": content.count("attention.sliding_window", 0, least=0) or None,
        "original_max_position_embeddings": parameters.get(
            "original_max_position_embeddings", made["max_position_embeddings"]
        ),
    }


def _gpt2(content: Content, made: Settings) -> Settings:
    names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "max_position_embeddings": "n_positions",
             "intermediate_size": "n_inner"}  # fmt: skip
    if made.pop("num_key_value_heads") != made["num_attention_heads"]:
        raise Unsupported(
            _("{path}: txpanel does not know its number of key heads in {family}.").format(
                path=content.path, family="gpt2"
            )
        )
    return {new: made.pop(old) for old, new in names.items()}


def _starcoder2(content: Content, made: Settings) -> Settings:
    own = _whole(content, made)
    made.pop("head_dim")
    return own | {"sliding_window": None, "use_bias": _has(content, "attn_q.bias")}


def _stablelm(content: Content, made: Settings) -> Settings:
    own = _partial(content, made)
    made.pop("head_dim")
    parallel = bool(content.take("use_parallel_residual", False)) and not _has(content, "ffn_norm.weight")
    if any("_norm.weight" in name and ("attn_q_" in name or "attn_k_" in name) for name in content.tensors):
        raise Unsupported(
            _("{path}: txpanel does not support normalised queries and keys in {family}.").format(
                path=content.path, family="stablelm"
            )
        )
    return own | {
        "use_qkv_bias": _has(content, "attn_q.bias"),
        "use_parallel_residual": parallel,
        "qk_layernorm": False,
    }


_LAYER_NORM = ("layer_norm_epsilon", "layer_norm_eps")
ARCHITECTURES: dict[str, Rules] = {
    "llama": Rules("llama", _llama, interleaved=True),
    "granite": Rules("granite", _granite, interleaved=True),
    "qwen2": Rules("qwen2", _qwen2),
    "qwen3": Rules("qwen3", _qwen3),
    "olmo2": Rules("olmo2", _olmo2),
    "gemma2": Rules("gemma2", _gemma, less_one=True),
    "gemma3": Rules("gemma3_text", _gemma, less_one=True, theta=1_000_000.0),
    "phi3": Rules("phi3", _phi3),
    "starcoder2": Rules("starcoder2", _starcoder2, norm=("layer_norm_epsilon", "norm_epsilon")),
    "stablelm": Rules("stablelm", _stablelm, norm=_LAYER_NORM),
    "gpt2": Rules("gpt2", _gpt2, norm=("layer_norm_epsilon", "layer_norm_epsilon"), theta=None,
                  transposed=("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
}  # fmt: skip
"""By GGUF's `general.architecture`: those whose numbers the tests compare with the untouched model."""
