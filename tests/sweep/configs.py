"""A tiny random model of every text-generation family that the installed transformers knows.

A configuration is made by rules: each of its entries that is in `SMALL` gets that value, so sizes are tiny and constants (multipliers, soft-caps, windows)
are away from 1 and from "none", where a mistake in their use would not show. What does not fit a family stands in `OTHERWISE`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

FAMILIES: tuple[str, ...] = tuple(sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
"""Every family, by ``model_type``."""
MASKED = "/masked"
ENCODERS: tuple[str, ...] = tuple(
    sorted(
        family + MASKED
        for family, name in MODEL_FOR_MASKED_LM_MAPPING_NAMES.items()
        if not name.endswith("ForConditionalGeneration")  # encoder-decoders
    )
)
"""Every family of models that fill gaps; the same ``model_type`` may be in both."""
MASK = 259
"""Id of the mask token of `tests.families.masked_tokenizer`."""
PAIR = "/pair"
LISTEN = (
    "audioflamingo3", "glmasr", "granite_speech", "granite_speech_plus", "moss_transcribe_diarize", "musicflamingo", "nemo_speechlm", "qwen2_audio",
    "qwen3_asr", "vibevoice_asr", "voxtral", "voxtral_realtime",
)  # fmt: skip
"""What transformers lists among encoder-decoders, and is a decoder that is given sound beside its text."""
PAIRS: tuple[str, ...] = tuple(
    sorted(family + PAIR for family in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES if family not in LISTEN)
)
"""Every family of encoder-decoders that go from a text to a text; the same ``model_type`` may be among `FAMILIES`, with its decoder alone."""

SMALL: dict[str, Any] = {
    # words and positions
    **dict.fromkeys(("vocab_size", "decoder_vocab_size", "vocab_size_per_layer_input", "audio_vocab_size", "shape_vocab_size",
                     "pronunciation_vocab_size", "unpadded_vocab_size", "encoder_hash_byte_group_vocab"), 300),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length", "max_target_positions",
                     "max_source_positions", "model_max_length", "original_max_position_embeddings"), 128),
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "decoder_start_token_id": 1, "forced_eos_token_id": None,
    "image_token_id": 290, "video_token_id": 291, "audio_token_id": 292, "vision_start_token_id": 293, "vision_end_token_id": 294,
    "image_token_index": 290, "boi_token_index": 293, "eoi_token_index": 294, "boi_token_id": 293, "eoi_token_id": 294,
    "boa_token_id": 295, "eoa_token_id": 296, "eoa_token_index": 296, "begin_suppress_tokens": None, "mask_token_id": MASK, "encoder_no_repeat_ngram_size": 0,
    # sizes
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim", "embedding_size", "hidden_size_global", "backbone_hidden_size", "out_hidden_size",
                     "lru_width", "word_embed_proj_dim", "attention_hidden_size"), 32),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads", "encoder_attention_heads",
                     "num_decoder_attention_heads", "num_encoder_attention_heads", "swa_num_attention_heads", "linear_num_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "kv_n_heads", "num_kv_heads", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers", "num_decoder_layers",
                     "num_encoder_layers", "depth"), 3),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "dff", "dim_ff", "d_inner", "feed_forward_size", "n_inner",
                     "ffn_hidden_size", "intermediate_size_mlp", "dense_intermediate_size", "prefix_dense_intermediate_size", "mlp_dim"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size", "shared_experts_intermediate_size",
                     "expert_ffn_hidden_size", "moe_shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("head_dim", "dim_head", "kv_channels", "swa_head_dim", "attention_head_size", "qk_head_dim"), 16),  # not width / heads
    "rotary_dim": 4, "embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.7, "logits_scaling": 2.0, "logit_scale": 0.3,
    "lm_head_multiplier": 0.5, "key_multiplier": 0.7, "attention_out_multiplier": 0.8, "attention_in_multiplier": 0.9, "ssm_in_multiplier": 1.2,
    "ssm_out_multiplier": 0.6, "logits_mup_width_multiplier": 3.0, "scale_emb": 3.0, "dim_model_base": 16, "attention_value_scale": 0.7,
    "final_logit_softcapping": 8.0, "attn_logit_softcapping": 5.0, "query_pre_attn_scalar": 24, "logits_soft_cap": 8.0,
    "sliding_window": 4, "attention_window_size": 4, "sliding_window_size": 4, "window_size": 4, "local_attention": 8, "attention_chunk_size": 8,
    "kv_lora_rank": 12, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 6, "v_head_dim": 10,
    "index_topk": 6, "index_head_dim": 16, "index_n_heads": 2, "o_groups": 2, "o_lora_rank": 8, "gated_norm_rank": 4,
    # experts
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 8),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts"), 2),
    "n_group": 2, "num_expert_group": 2, "topk_group": 1, "n_shared_experts": 1, "num_shared_experts": 1, "moe_num_shared_experts": 1,
    "num_dense_layers": 1, "first_k_dense_replace": 1, "zero_expert_num": 2, "router_hidden_size": 16,
    "routed_scaling_factor": 1.7, "route_scale": 1.7, "router_scaling_factor": 1.7, "moe_routed_scaling_factor": 1.7,
    # state spaces, convolutions, linear attention
    "mamba_n_heads": 4, "mamba_num_heads": 4, "mamba_head_dim": 16, "mamba_d_ssm": 64, "mamba_d_state": 8, "ssm_state_size": 8, "state_size": 8,
    "mamba_ngroups": 1, "mamba_n_groups": 1, "n_groups": 1, "n_mamba_heads": 2, "mamba_chunk_size": 8, "chunk_size": 8, "mamba_dt_rank": 4, "time_step_rank": 4,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "conv_L_cache": 3, "adapter_rank": 4, "block_multiple_of": 8,
    # inputs of each block, several streams
    "hidden_size_per_layer_input": 8, "laurel_rank": 4, "altup_num_inputs": 2, "num_kv_shared_layers": 0, "d_rel": 4, "rel_extent": 16,
    "layerdrop": 0.0, "initializer_range": 0.5, "init_std": 0.5, "embed_init_std": 0.5, "embedding_initializer_range": 0.5, "initializer_factor": 0.5,
    "use_cache": True, "is_decoder": True,
}  # fmt: skip
"""What an entry of a configuration is set to, by its name."""

LEFT = "as the library has it"
HYBRID = ["linear_attention", "full_attention", "linear_attention"]
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
ROPE = {"rope_theta": 10000.0, "rope_type": "default"}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
        "max_position_embeddings": 128, "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
CODEC = {"model_type": "encodec", "num_filters": 4, "codebook_size": 64, "codebook_dim": 16, "hidden_size": 16}

OTHERWISE: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"layer_group_size": 2},
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {"layer_types": MIXED, "rope_parameters": {"sliding_attention": ROPE, "full_attention": ROPE}},
    "dots3_note_vision_encoder": {"num_hidden_layers": LEFT, "adapter_in_dim": 32, "adapter_out_dim": 32},
    "dots3_note_audio_encoder": {"adapter_input_size": 32, "adapter_out_dim": 32},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 48, "moe_num_experts": 8, "moe_top_k": 2},
    },
    "fuyu": {"text_config": {"model_type": "persimmon", **TEXT}, "image_token_id": 290},
    "gemma3": {"vision_config": {"model_type": "siglip_vision_model", **VISION}, "mm_tokens_per_image": 4},
    "gemma4_assistant": {"text_config": {"model_type": "gemma4_text", **TEXT, "hidden_size_per_layer_input": 0, "head_dim": 16,
                         "num_kv_shared_layers": 3, "layer_types": MIXED, "vocab_size_per_layer_input": 0}},
    "gemma4_unified_assistant": {"text_config": {"model_type": "gemma4_unified_text", **TEXT, "head_dim": 16, "layer_types": MIXED}},
    "got_ocr2": {
        "text_config": {"model_type": "qwen2", **TEXT},
        "vision_config": {**VISION, "mlp_dim": 48, "output_channels": 16, "window_size": 2, "global_attn_indexes": [1]},
    },
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention", "linear_attention"]},
    "helium": {"head_dim": 8},
    "jamba": {"attn_layer_period": 3, "attn_layer_offset": 1},
    "kimi_linear": {"layer_types": HYBRID},
    "lfm2": {"layer_types": ["conv", "full_attention", "conv"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "longcat_flash": {"head_dim": 8, "qk_head_dim": LEFT},
    "minimax": {"layer_types": HYBRID},
    "moss_transcribe_diarize": {"text_config": {"model_type": "qwen3", **TEXT, "head_dim": 16}},
    "nemotron_h": {"layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"], "num_hidden_layers": 4},
    "olmo_hybrid": {"layer_types": HYBRID},
    "qwen3_5_moe_text": {"layer_types": HYBRID},
    "qwen3_5_text": {"layer_types": HYBRID},
    "qwen3_next": {"layer_types": HYBRID},
    "qwen4_exp_text": {"layer_types": HYBRID, "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16,
                       "indexer_budget": 8, "indexer_compress_ratio": 4},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "lsh", "local"], "num_buckets": 4,
                 "local_attn_chunk_length": 8, "lsh_attn_chunk_length": 8},
    "xlstm": {"chunk_size": LEFT, "head_dim": LEFT, "num_heads": 2},
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
    "zamba": {"layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"], "num_hidden_layers": 4,
              "head_dim": LEFT, "attention_head_dim": LEFT, "attention_hidden_size": 64},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"], "num_hidden_layers": 4},
}  # fmt: skip
"""What a family needs besides, by ``model_type``."""
ENCODER_OTHERWISE: dict[str, dict[str, Any]] = {
    "esm": {"position_embedding_type": "rotary", "token_dropout": True, "emb_layer_norm_before": True},
    "modernvbert": {
        "text_config": {"model_type": "modernbert", **TEXT, "layer_types": MIXED},
        "vision_config": {"model_type": "siglip_vision_model", **VISION},
    },
    "ultravbert": {
        "text_config": {"model_type": "ultrabert", **TEXT},
        "vision_config": {"model_type": "siglip_vision_model", **VISION},
    },
    "mobilebert": {"initializer_range": 0.1},  # its blocks have no norms that keep larger numbers finite
    "esmc": {"num_key_value_heads": 4, "head_dim": 8},
}
"""The same for families that are built as encoders."""
PAIR_OTHERWISE: dict[str, dict[str, Any]] = {
    "encoder-decoder": {
        "encoder": {"model_type": "bert", **{name: value for name, value in TEXT.items() if name != "num_key_value_heads"}},
        "decoder": {"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 128, "vocab_size": 300, "initializer_range": 0.5,
                    "is_decoder": True, "add_cross_attention": True},
        "decoder_start_token_id": 1, "pad_token_id": 0,
    },
    **{
        family: {"d_kv": 12, "d_ff": 48, "initializer_factor": 2.0, "decoder_start_token_id": 0, "relative_attention_num_buckets": 8,
                 "relative_attention_max_distance": 20}
        for family in ("t5", "mt5", "umt5", "longt5", "switch_transformers")
    },
    "led": {"attention_window": 4, "max_encoder_position_embeddings": 128, "max_decoder_position_embeddings": 128},
}  # fmt: skip
"""The same for families that are built as encoder-decoders."""
PART = {"musicgen": "decoder", "musicgen_melody": "decoder"}


def small(kind: type[PreTrainedConfig], family: str) -> dict[str, Any]:
    """The entries of a tiny configuration, its parts included."""
    given, parts = OTHERWISE.get(family, {}), dict(kind.sub_configs)
    found: dict[str, Any] = {}
    for entry in dataclasses.fields(kind):
        name = entry.name
        if name in parts and name not in given:
            part: Any = parts[name]
            if dataclasses.is_dataclass(part):
                found[name] = small(part, part.model_type)  # type: ignore[arg-type]
        elif name in given or name in SMALL:
            value = given.get(name, SMALL.get(name))
            if value is not LEFT:
                found[name] = value
    if "kv_lora_rank" in found:  # every head has keys and values of its own, and the sizes of its parts are given
        found |= {"num_key_value_heads": SMALL["num_attention_heads"]}
        if "head_dim" not in given:
            found.pop("head_dim", None)
    if entries := {"pad_token_id", "bos_token_id", "eos_token_id"} - {entry.name for entry in dataclasses.fields(kind)}:
        found.update({name: SMALL[name] for name in entries})
    return found | {name: value for name, value in given.items() if value is not LEFT}


def config_of(family: str) -> PreTrainedConfig:
    """A tiny configuration of a family."""
    if family.endswith(MASKED):
        family = family.removesuffix(MASKED)
        kind = CONFIG_MAPPING[family]
        return kind(**small(kind, family) | {"is_decoder": False} | ENCODER_OTHERWISE.get(family, {}))
    if family.endswith(PAIR):
        family = family.removesuffix(PAIR)
        return CONFIG_MAPPING[family](
            **small(CONFIG_MAPPING[family], family) | {"is_decoder": False} | PAIR_OTHERWISE.get(family, {})
        )
    kind = CONFIG_MAPPING[family]
    config = kind(**small(kind, family))
    types = getattr(config, "layer_types", None)
    if types and "layer_types" not in OTHERWISE.get(family, {}) and set(types) == {"sliding_attention"}:
        config = kind(**small(kind, family) | {"layer_types": MIXED})
    return config


def model_of(family: str, *, attn: str | None = None, seed: int = 0) -> Any:
    """An untouched model of a family with random weights: the same for the same seed."""
    torch.manual_seed(seed)
    more = {} if attn is None else {"attn_implementation": attn}
    config = config_of(family)
    if family in PART:  # the library's class takes the configuration of one part, and AutoModel gives it the whole
        model = (
            AutoModelForCausalLM._model_mapping[type(config)]._from_config(getattr(config, PART[family]), **more).eval()
        )
    else:
        opener: Any = (
            AutoModelForMaskedLM
            if family.endswith(MASKED)
            else AutoModelForSeq2SeqLM
            if family.endswith(PAIR)
            else AutoModelForCausalLM
        )
        model = opener.from_config(config, **more).eval()
    generator = torch.Generator().manual_seed(seed)
    buffers = [(name, x) for name, x in model.named_buffers() if "bias" in name and x.is_floating_point()]
    with torch.no_grad():  # biases, norms and sinks start at 0 or 1, where a mistake in their use would not show
        for name, tensor in [*model.named_parameters(), *buffers]:
            if tensor.dim() == 1 or "bias" in name or "sinks" in name or not bool(tensor.any()):
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return model
