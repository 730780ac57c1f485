"""What is measured: GPT-2 small with random weights (nothing to download) and a word-level tokenizer of the same size."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import txpanel


@dataclass
class Subject:
    """The same weights for everybody.

    Attributes:
        config: sizes of the model.
        folder: the model and its tokenizer as `save_pretrained` writes them; some peers load nothing else.
    """

    config: GPT2Config
    folder: Path

    @classmethod
    def make(cls, quick: bool = False) -> Subject:
        """GPT-2 small, or with `quick` 6 blocks of width 384."""
        config = GPT2Config(n_layer=6, n_embd=384, n_head=6) if quick else GPT2Config()
        subject = cls(config, Path(tempfile.mkdtemp(prefix="txpanel-bench-")))
        subject.plain.save_pretrained(subject.folder)
        words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(config.vocab_size)}, unk_token="w0"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        end = f"w{config.vocab_size - 1}"
        PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="w0", bos_token=end, eos_token=end, pad_token=end
        ).save_pretrained(subject.folder)
        return subject

    @cached_property
    def tokenizer(self) -> Any:
        return PreTrainedTokenizerFast.from_pretrained(self.folder)

    @cached_property
    def plain(self) -> Any:
        """As transformers loads it: SDPA."""
        torch.manual_seed(0)
        return GPT2LMHeadModel(self.config).eval().requires_grad_(False)

    @cached_property
    def eager(self) -> Any:
        """The same weights with the attention implementation that can return its maps."""
        model = copy.deepcopy(self.plain)
        model.set_attn_implementation("eager")
        return model

    @cached_property
    def ours(self) -> txpanel.LanguageModel:
        return txpanel.LanguageModel.wrap(copy.deepcopy(self.plain), self.tokenizer, name="gpt2-small-random")

    def ids(self, tokens: int) -> torch.Tensor:
        """[1, tokens], always the same."""
        generator = torch.Generator().manual_seed(tokens)
        return torch.randint(1, self.config.vocab_size - 1, (1, tokens), generator=generator)
