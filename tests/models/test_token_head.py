"""Blocks that end with no head for tokens are refused: their last numbers are no predictions, whatever they are called."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoConfig

from tests.families import GQA, tiny_hf, tiny_tokenizer
from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel

BERT: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 128, "pad_token_id": 0, "initializer_range": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "kind", "loader"),
    [
        ("llama", "AutoModel", "AutoModelForCausalLM"),
        ("llama", "AutoModelForSequenceClassification", "AutoModelForCausalLM"),  # as reward models are
        ("llama", "AutoModelForTokenClassification", "AutoModelForCausalLM"),
        ("llama", "AutoModelForQuestionAnswering", "AutoModelForCausalLM"),
        ("bert", "AutoModel", "AutoModelForMaskedLM"),
        ("bert", "AutoModelForSequenceClassification", "AutoModelForMaskedLM"),
        ("bert", "AutoModelForTokenClassification", "AutoModelForMaskedLM"),
        ("bert", "AutoModelForPreTraining", "AutoModelForMaskedLM"),
        ("bert", "AutoModelForNextSentencePrediction", "AutoModelForMaskedLM"),
        ("electra", "AutoModelForPreTraining", "AutoModelForMaskedLM"),  # says of each token whether it was replaced
    ],
)
@pytest.mark.parametrize("labels", [2, 300])
def test_another_head_is_refused_with_the_class_that_has_the_right_one(
    family: str, kind: str, loader: str, labels: int
) -> None:
    config = AutoConfig.for_model(family, **(GQA if family == "llama" else BERT), num_labels=labels)
    module = getattr(transformers, kind).from_config(config).eval()
    with pytest.raises(Unsupported, match=f"predicts no tokens.*Load the model with {loader}, and open that"):
        LanguageModel.wrap(module, tiny_tokenizer())
    LanguageModel.wrap(getattr(transformers, loader).from_config(config).eval(), tiny_tokenizer())


class Sorts(nn.Module):
    """Somebody's own class: it gives what `of` makes of the logits of a model."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.inner, self.of = tiny_hf("llama"), of
        self.config = self.inner.config

    def get_input_embeddings(self) -> Any:
        return self.inner.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        return None

    def forward(self, input_ids: torch.Tensor, **more: Any) -> Any:
        found = self.inner(input_ids=input_ids, **more)
        found.logits = self.of(found.logits)
        return found


@pytest.mark.parametrize(
    "of", [lambda x: x[..., :2], lambda x: x[:, -1, :2], lambda x: x.mean(-1), lambda x: x[..., None]]
)
def test_logits_that_are_none_of_tokens_are_refused(of: Any) -> None:
    with pytest.raises(Unsupported, match="it predicts no tokens"):
        LanguageModel.wrap(Sorts(of), tiny_tokenizer())


def test_a_class_of_ones_own_that_predicts_tokens_is_opened() -> None:
    model = LanguageModel.wrap(Sorts(lambda x: x), tiny_tokenizer())
    assert model.trace("hello").tensor("logits").shape == (300,)


class Written(transformers.LlamaForCausalLM):
    """A subclass, under a name that nobody knows."""


def test_a_subclass_is_what_it_derives_from() -> None:
    module = tiny_hf("llama")
    module.__class__ = Written
    assert LanguageModel.wrap(module, tiny_tokenizer()).report().opaque == []
