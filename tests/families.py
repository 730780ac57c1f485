"""Tiny random models of some families, with weights large enough that a wrong constant shows."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from txpanel.models.language_model import LanguageModel

COMMON: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 48,
    "max_position_embeddings": 128, "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GQA = {**COMMON, "num_key_value_heads": 2}
OLD: dict[str, Any] = {
    "vocab_size": 300, "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 128, "initializer_range": 0.5, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {**OLD, "n_inner": 48},
    "gpt_neox": {**COMMON, "rotary_pct": 0.25},
    "gptj": {**OLD, "n_inner": 48, "rotary_dim": 4},
    "gpt_neo": {
        "vocab_size": 300, "hidden_size": 32, "num_heads": 4, "num_layers": 3, "intermediate_size": 48,
        "max_position_embeddings": 128, "initializer_range": 0.5,
        "attention_types": [[["global", "local", "global"], 1]], "window_size": 4, "bos_token_id": 1, "eos_token_id": 2,
    },
    "opt": {**COMMON, "ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.5},
    "bloom": {"vocab_size": 300, "hidden_size": 32, "n_head": 4, "n_layer": 3, "initializer_range": 0.5, "bos_token_id": 1, "eos_token_id": 2},
    "falcon": {**COMMON, "multi_query": True, "alibi": False},
    "mpt": {"vocab_size": 300, "d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 128, "initializer_range": 0.5},
    "llama": GQA,
    "mistral": {**GQA, "sliding_window": 4},
    "mixtral": {**GQA, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
    "qwen2": GQA,
    "qwen3": {**GQA, "head_dim": 12},
    "qwen3_moe": {**GQA, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 12,
    "norm_topk_prob": True, "decoder_sparse_step": 1},
    "phi": {**COMMON, "partial_rotary_factor": 0.5},
    "phi3": {**GQA, "sliding_window": None},
    "gemma2": {**GQA, "head_dim": 12, "sliding_window": 4, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0, "query_pre_attn_scalar": 24},
    "gemma3_text": {**GQA, "head_dim": 12, "sliding_window": 4, "query_pre_attn_scalar": 24, "layer_types": ["sliding_attention",
    "full_attention", "sliding_attention"]},
    "olmo2": GQA,
    "stablelm": {**GQA, "partial_rotary_factor": 0.5},
    "starcoder2": {**GQA, "use_bias": True, "sliding_window": None},
    "cohere": {**GQA, "logit_scale": 0.3},
    "granite": {**GQA, "embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.7, "logits_scaling": 2.0},
    "smollm3": {**GQA, "no_rope_layers": [1, 0, 1], "use_sliding_window": False},
    "gpt_oss": {
        **GQA, "head_dim": 12, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "deepseek_v3": {
        **COMMON, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 12, "qk_rope_head_dim": 8, "qk_nope_head_dim": 6, "v_head_dim": 10,
        "n_routed_experts": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "n_shared_experts": 1,
        "moe_intermediate_size": 24, "first_k_dense_replace": 1,
    },
}  # fmt: skip
"""Every family whose operations are all compared with the untouched model, by ``model_type``."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "neox-serial": ("gpt_neox", {"use_parallel_residual": False}),
    "opt-350m": ("opt", {"do_layer_norm_before": False, "word_embed_proj_dim": 16}),
    "falcon-alibi": ("falcon", {"alibi": True, "multi_query": False, "parallel_attn": False}),
    "falcon-new": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "phi-qk-norm": ("phi", {"qk_layernorm": True}),
    "stablelm-2": ("stablelm", {"qk_layernorm": True, "use_parallel_residual": True}),
    "cohere-qk-norm": ("cohere", {"use_qk_norm": True}),
    "bloom-residual-from-norm": ("bloom", {"apply_residual_connection_post_layernorm": True}),
    "gemma2-no-window": ("gemma2", {"sliding_window": 128}),
    "llama-tied-bias": ("llama", {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "gpt2-layer-scale": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "deepseek-dense": ("deepseek_v3", {"first_k_dense_replace": 3, "q_lora_rank": None}),
    "qwen3-moe-raw": ("qwen3_moe", {"norm_topk_prob": False}),
}
"""The same families with the flags that change their structure."""


def tiny_hf(
    name: str, *, attn: str | None = None, dtype: torch.dtype = torch.float32, seed: int = 0, **settings: Any
) -> Any:
    """An untouched Hugging Face model with random weights: a family of :data:`FAMILIES` or a variant, with other ``settings`` in its config."""
    family, change = VARIANTS.get(name, (name, {}))
    config = AutoConfig.for_model(family, **{**FAMILIES[family], **change, **settings})
    torch.manual_seed(seed)
    more = {} if attn is None else {"attn_implementation": attn}
    model = AutoModelForCausalLM.from_config(config, **more).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # biases, norms and sinks start at 0 or 1, where a mistake in their use would not show
        for parameter_name, parameter in model.named_parameters():
            if (
                parameter.dim() == 1
                or "bias" in parameter_name
                or "sinks" in parameter_name
                or not bool(parameter.any())
            ):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.to(dtype)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, so that any text can be read."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2} | {symbol: 3 + n for n, symbol in enumerate(alphabet)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def masked_tokenizer() -> PreTrainedTokenizerFast:
    """The same with a mask token, and marks around every text, as encoders have them."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "<mask>", "cls_token": "<s>", "sep_token": "</s>"})
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def tiny(name: str, **more: Any) -> LanguageModel:
    """A tiny random model of a family or variant, opened."""
    return LanguageModel.wrap(tiny_hf(name, **more), tiny_tokenizer(), name=f"tiny-{name}")
