"""Tiny models that are only partly opened: other mixers than attention, and modules that nobody has seen before in the place of known ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from tests.families import tiny_hf, tiny_tokenizer
from txpanel.models.language_model import LanguageModel

BASE: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 4, "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
HEADS = {
    **BASE,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}

OTHERS: dict[str, dict[str, Any]] = {
    "jamba": {**HEADS, "attn_layer_offset": 1, "attn_layer_period": 2, "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 4,
              "mamba_d_state": 4, "mamba_dt_rank": 4},
    "mamba": {**BASE, "state_size": 4},
    "mamba2": {**BASE, "num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 2, "chunk_size": 8},
    "rwkv": {"vocab_size": 300, "hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 4, "intermediate_size": 48, "context_length": 64},
    "falcon_h1": {**HEADS, "head_dim": 8, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8,
                  "mamba_chunk_size": 8},
    "lfm2": {**HEADS, "block_ff_dim": 48, "layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "qwen3_next": {**HEADS, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
                   "shared_expert_intermediate_size": 24, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
                   "linear_value_head_dim": 8, "layer_types": ["linear_attention"] * 3 + ["full_attention"]},
    "recurrent_gemma": {**HEADS, "lru_width": 32, "head_dim": 8, "attention_window_size": 16},
    "nemotron_h": {**HEADS, "head_dim": 8, "layers_block_type": ["mamba", "mlp", "attention", "mlp"], "mamba_num_heads": 4, "mamba_head_dim": 8,
                   "ssm_state_size": 8, "n_groups": 2, "chunk_size": 8},
}  # fmt: skip
"""Families whose mixers are not all attention, by ``model_type``."""

ODD = "odd"
"""A llama of three blocks: the first has an attention that can't be read, the second an MLP that can't, the third is a llama's own."""


class OddAttention(nn.Module):
    """An attention of which only its class says so: its projections are one tensor, in an order that is nowhere written down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.packed = nn.Parameter(torch.randn(3, width, width, generator=torch.Generator().manual_seed(1)) * 0.3)

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, None]:
        q, k, v = (hidden_states @ matrix for matrix in self.packed)
        scores = (q @ k.transpose(1, 2)) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
        return scores.softmax(-1) @ v, None


class OddMLP(nn.Module):
    """Three parts of a projection put together as no MLP does it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = self.one(x).chunk(3, -1)
        return self.two(torch.sin(a) * b + c)


def partly_open_hf(name: str) -> Any:
    """An untouched model with random weights: `ODD`, or a family of `OTHERS`."""
    if name != ODD:
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **OTHERS[name])).eval()
    model = tiny_hf("llama")
    torch.manual_seed(1)
    model.model.layers[0].self_attn = OddAttention(32)
    model.model.layers[1].mlp = OddMLP(32)
    return model.eval()


def partly_open(name: str) -> LanguageModel:
    """The same, opened as far as it can be."""
    return LanguageModel.wrap(partly_open_hf(name), tiny_tokenizer(), name=f"tiny-{name}")
