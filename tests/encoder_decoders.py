"""Tiny random encoder-decoders, with weights large enough that a wrong constant shows."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from tests.families import tiny_tokenizer
from txpanel.models.language_model import LanguageModel

BART: dict[str, Any] = {
    "vocab_size": 300, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "init_std": 0.5, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip
T5: dict[str, Any] = {
    "vocab_size": 300, "d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 3, "num_heads": 4, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20, "initializer_factor": 2.0, "decoder_start_token_id": 0,
}  # fmt: skip

ENCODER_DECODERS: dict[str, dict[str, Any]] = {
    "t5": T5,
    "bart": {**BART, "scale_embedding": True},
    "marian": {**BART, "decoder_start_token_id": 0},
    "pegasus": {**BART, "decoder_start_token_id": 0, "scale_embedding": True},
    "mbart": BART,
}
"""By ``model_type``."""
VARIANTS = {"t5-gated": ("t5", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False})}


def tiny_pair_hf(name: str, *, attn: str | None = None, **settings: Any) -> Any:
    """An untouched model of :data:`ENCODER_DECODERS` with random weights."""
    family, change = VARIANTS.get(name, (name, {}))
    config = AutoConfig.for_model(family, **{**ENCODER_DECODERS[family], **change, **settings})
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(config, **({} if attn is None else {"attn_implementation": attn})).eval()
    generator = torch.Generator().manual_seed(0)
    biases = [(name, x) for name, x in model.named_buffers() if "bias" in name]
    with torch.no_grad():  # biases and norms start at 0 or 1, where a mistake in their use would not show
        for parameter_name, parameter in [*model.named_parameters(), *biases]:
            if parameter.dim() == 1 or "bias" in parameter_name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def tiny_pair(name: str, **settings: Any) -> LanguageModel:
    """A tiny random encoder-decoder, opened."""
    return LanguageModel.wrap(tiny_pair_hf(name, **settings), tiny_tokenizer(), name=f"tiny-{name}")
