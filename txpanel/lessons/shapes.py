"""Small models of different shapes, against which a lesson is checked: random weights, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as kinds
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from txpanel.models.language_model import LanguageModel
from txpanel.models.loading import load

__all__ = ["NANO_TEXTS", "TEXTS", "shapes"]

TEXTS = (
    "The cat sat on the mat. The cat",
    "One, two, three, four,",
    "cab bac cab",
    "To be or not to be",
    "日本の首都は",
)
NANO_TEXTS = ("CBABBC=", "EDCBA=", "AEBDC=", "BADCAB=", "CABCAB=")
"""More than three: a question may be undecidable on some, where two numbers happen to be equal."""

SEED = 7

_SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3,
    "intermediate_size": 96, "max_position_embeddings": 256, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_SHAPES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"head_dim": 16, "sliding_window": 8, "attn_logit_softcapping": 20.0, "final_logit_softcapping": 15.0, "query_pre_attn_scalar": 16},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
}  # fmt: skip


def shapes() -> Iterator[tuple[LanguageModel, tuple[str, ...]]]:
    """Models with texts for each: nano (learned positions, LayerNorm), and those with rotation, soft-caps and a window, and experts."""
    yield load("nano"), NANO_TEXTS
    noise = np.random.default_rng(SEED)
    for family, more in _SHAPES.items():
        before = torch.get_rng_state()
        try:
            torch.manual_seed(SEED)
            config = AutoConfig.for_model(family, **{**_SIZES, **more})
            model = AutoModelForCausalLM.from_config(config).eval()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for weight in model.parameters():
                    if weight.dim() == 1:  # the weights of norms differ in a trained model
                        weight.add_(torch.from_numpy(noise.normal(0, 0.3, len(weight))).to(weight.dtype))
        finally:
            torch.set_rng_state(before)  # other code that uses torch's generator is not affected
        yield LanguageModel.wrap(model, _bytes(), name=f"tiny-{family}", title=f"tiny {family}"), TEXTS


def _bytes() -> PreTrainedTokenizerFast:
    """A tokenizer with a token for each byte: it reads any text."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        kinds.BPE(vocab={"<pad>": 0, "<s>": 1, "</s>": 2} | {s: 3 + n for n, s in enumerate(symbols)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")  # type: ignore[no-untyped-call]
