"""Tiny random models of every architecture that is read from GGUF, written the way llama.cpp's converter stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

SIZES: dict[str, Any] = {
    "vocab_size": 258, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 128, "initializer_range": 0.3, "bos_token_id": 257, "eos_token_id": 257, "pad_token_id": None,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, biases, untied": ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    "llama, wide heads": ("llama", {"head_dim": 24}),
    "granite": ("granite", {"embedding_multiplier": 3.0, "residual_multiplier": 0.7, "attention_multiplier": 0.2, "logits_scaling": 2.0}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 24}),
    "olmo2": ("olmo2", {}),
    "gemma2": ("gemma2", {"head_dim": 24, "sliding_window": 4, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0}),
    "gemma3": ("gemma3_text", {"num_hidden_layers": 7, "head_dim": 24, "sliding_window": 4, "query_pre_attn_scalar": 24}),
    "phi3": ("phi3", {"sliding_window": 4, "partial_rotary_factor": 0.5, "tie_word_embeddings": False}),
    "starcoder2": ("starcoder2", {"use_bias": True, "tie_word_embeddings": True, "sliding_window": None}),
    "stablelm": ("stablelm", {"partial_rotary_factor": 0.5, "use_qkv_bias": True, "tie_word_embeddings": False}),
    "gpt2": ("gpt2", {"n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 128, "n_inner": 96}),
}  # fmt: skip


def model(name: str, **change: Any) -> Any:
    """An untouched model with weights large enough that a wrong constant shows."""
    family, own = FAMILIES[name]
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(family, **{**SIZES, "tie_word_embeddings": True, **own, **change})
    ).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape) * 0.2)
    return made


def write(
    path: Path,
    name: str,
    source: Any,
    *,
    kind: str = "F32",
    keys: Mapping[str, Any] | None = None,
    change: Callable[[dict[str, np.ndarray]], None] = lambda tensors: None,
    vocabulary: Callable[[gguf.GGUFWriter], None] | None = None,
    only: Callable[[str], bool] = lambda name: True,
) -> Path:
    """Write `source`; `keys` are added or replaced (None: left out), `change` may edit the tensors, `only` says which of them are in this file."""
    architecture = name.split(",")[0]
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (_settings(architecture, source.config) | dict(keys or {})).items():
        if value is not None:
            _put(writer, key if key.startswith(("split.", "general.")) else f"{architecture}.{key}", value)
    (vocabulary or byte_vocabulary)(writer)
    tensors = stored(architecture, source)
    change(tensors)
    for key, value in tensors.items():
        if only(key):
            wanted = gguf.GGMLQuantizationType[kind]
            if kind == "F32" or value.ndim == 1:
                writer.add_tensor(key, np.ascontiguousarray(value, np.float32))
            else:
                writer.add_tensor(key, gguf.quants.quantize(np.ascontiguousarray(value), wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _put(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    kinds = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    (writer.add_uint16 if key in ("split.no", "split.count") else kinds[type(value)])(key, value)


def _settings(architecture: str, config: Any) -> dict[str, Any]:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    found: dict[str, Any] = {
        "block_count": config.num_hidden_layers, "context_length": config.max_position_embeddings, "embedding_length": config.hidden_size,
        "feed_forward_length": config.n_inner if architecture == "gpt2" else config.intermediate_size,
        "attention.head_count": config.num_attention_heads, "vocab_size": config.vocab_size,
    }  # fmt: skip
    if architecture in ("gpt2", "starcoder2", "stablelm"):
        names = ("layer_norm_epsilon", "norm_epsilon", "layer_norm_eps")
        found["attention.layer_norm_epsilon"] = float(next(getattr(config, n) for n in names if hasattr(config, n)))
    else:
        found["attention.layer_norm_rms_epsilon"] = float(config.rms_norm_eps)
    if architecture == "gpt2":
        return found
    turned = config.rope_parameters.get("full_attention", config.rope_parameters)
    found |= {
        "attention.head_count_kv": config.num_key_value_heads, "rope.freq_base": float(turned["rope_theta"]),
        "rope.dimension_count": int(head * turned.get("partial_rotary_factor", 1.0)),
    }  # fmt: skip
    if head * config.num_attention_heads != config.hidden_size:
        found |= {"attention.key_length": head, "attention.value_length": head}
    if architecture == "granite":
        found |= {"embedding_scale": config.embedding_multiplier, "residual_scale": config.residual_multiplier,
                  "attention.scale": config.attention_multiplier, "logit_scale": config.logits_scaling}  # fmt: skip
    if architecture.startswith("gemma") or architecture == "phi3":
        found["attention.sliding_window"] = config.sliding_window or 0
    if architecture == "gemma2":
        found |= {
            "attn_logit_softcapping": config.attn_logit_softcapping,
            "final_logit_softcapping": config.final_logit_softcapping,
        }
    if architecture == "stablelm":
        found["use_parallel_residual"] = (
            True  # llama.cpp writes it of every file; whether there is a second norm decides
        )
    return found


def stored(architecture: str, source: Any) -> dict[str, np.ndarray]:
    """Tensors as the file has them: rotary pairs side by side (Llama), norms with 1 added (Gemma), matrices the right way round (GPT-2)."""
    kind = next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names, found, config = (
        gguf.get_tensor_name_map(kind, source.config.num_hidden_layers),
        dict[str, np.ndarray](),
        source.config,
    )
    for key, tensor in source.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        module, _, ending = key.rpartition(".")
        value = tensor.numpy().copy()
        if architecture in ("llama", "granite") and module.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if module.endswith("q_proj") else config.num_key_value_heads
            value = value.reshape(heads, 2, -1, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        if architecture.startswith("gemma") and key.endswith("norm.weight"):
            value = value + 1
        if architecture == "gpt2" and value.ndim == 2 and not module.endswith(("wte", "wpe", "lm_head")):
            value = value.T
        found[f"{names.get_name(module)}.{ending}"] = value
    return found


def byte_vocabulary(writer: gguf.GGUFWriter, pre: str | None = "smollm") -> None:
    """One token for each byte, one for "ab", and a mark."""
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    alphabet = bytes_to_unicode()
    writer.add_token_list([*(alphabet[byte] for byte in range(256)), "ab", "<|end|>"])
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
