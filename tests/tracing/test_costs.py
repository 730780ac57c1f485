"""Counted multiply-adds equal those that torch counts while the untouched model runs (each is two floating-point operations)."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers.cache_utils import DynamicCache

from tests.families import tiny_hf, tiny_tokenizer
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import costs
from txpanel.tracing.passes import with_cache

T = 9


@pytest.mark.parametrize(
    "family", ["gpt2", "llama", "qwen3", "gemma3_text", "phi", "olmo2", "mistral", "opt", "deepseek-dense"]
)
def test_counts_equal_those_of_torch(family: str) -> None:
    hf = tiny_hf(family, attn="eager")
    anatomy = LanguageModel.wrap(hf, tiny_tokenizer()).anatomy
    ids = torch.arange(3, 3 + T)[None]
    pairs = sum(b.n_heads * (b.head_dim + b.value_dim) for b in anatomy.blocks)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        cache = DynamicCache()
        hf(ids[:, :-1], logits_to_keep=1, **with_cache(hf, cache))
    rotary = counter.get_total_flops() // 2 - (
        (T - 1) * costs.linear(anatomy) + pairs * (T - 1) ** 2 + costs.unembedding(anatomy)
    )
    assert (
        0 <= rotary <= 2 * 8 * T * 3
    )  # angles are a product of position and frequency: the only other product there is
    if any(block.window for block in anatomy.blocks):
        return
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        hf(ids[:, -1:], logits_to_keep=1, **with_cache(hf, cache))
    assert 0 <= counter.get_total_flops() // 2 - costs.cached_step(anatomy, T) <= 2 * 8 * T * 3


def test_without_a_cache_each_token_looks_at_those_before_it() -> None:
    anatomy = LanguageModel.wrap(tiny_hf("mistral"), tiny_tokenizer()).anatomy  # window 4
    each = costs.attention(anatomy, 1)
    assert costs.attention(anatomy, 3) == 3 * each
    assert costs.attention(anatomy, 50) == 4 * each
    whole = costs.whole_step(anatomy, 6) - 6 * costs.linear(anatomy) - costs.unembedding(anatomy)
    assert whole == (1 + 2 + 3 + 4 + 4 + 4) * each
    assert costs.whole_step(anatomy, 1) == costs.cached_step(anatomy, 1)
