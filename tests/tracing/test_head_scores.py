"""What heads do, against patterns of the untouched model; and heads that were built to do it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import txpanel
from tests.families import tiny_tokenizer
from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import head_scores as module
from txpanel.tracing.head_scores import KINDS, head_scores, kept_scores


def test_each_score_is_a_mean_of_the_eager_pattern(nano: LanguageModel) -> None:
    before, half = module._tokens(nano)
    n, start = len(half), len(before)
    assert len(set(half)) == n
    nano.model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            patterns = nano.model(torch.tensor([[*before, *half, *half]]), output_attentions=True).attentions
    finally:
        nano.model.set_attn_implementation("sdpa")
    to = {"previous": -1, "induction": 1 - n, "duplicate": -n, "self": 0}
    for kind in KINDS:
        found = head_scores(nano, kind)
        assert found.dims == ("layer", "head")
        for layer, pattern in enumerate(patterns):
            for head in range(pattern.shape[1]):
                rows = range(start + n, start + 2 * n)
                weights = [float(pattern[0, head, at, 0 if kind == "first" else at + to[kind]]) for at in rows]
                assert float(found[layer, head]) == pytest.approx(np.mean(weights), abs=1e-5)


def test_a_head_that_was_built_to_attend_to_the_token_before_is_found() -> None:
    """GPT-2 with one-hot positions: head 1 of block 0 matches the query of position i with the key of position i - 1."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=300, n_embd=128, n_head=2, n_layer=1, n_positions=64, bos_token_id=None, eos_token_id=None
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        block = model.transformer.h[0]
        model.transformer.wte.weight.zero_()
        model.transformer.wpe.weight.copy_(torch.eye(64, 128) * 10)
        block.ln_1.weight.fill_(1)
        attention = block.attn.c_attn
        attention.weight.zero_()
        attention.bias.zero_()
        for i in range(64):
            attention.weight[i, 128 + 64 + i] = 8  # key of head 1: its own position
            if i:
                attention.weight[i, 64 + i - 1] = 8  # query of head 1: the position before
    opened = LanguageModel.wrap(model, tiny_tokenizer(), name="built")
    previous, induction = head_scores(opened, "previous"), head_scores(opened, "induction")
    assert float(previous[0, 1]) > 0.99
    assert float(previous[0, 0]) < 0.1
    assert float(induction.max()) < 0.1


def test_a_special_first_token_stands_in_front(tiny: Callable[[str], LanguageModel]) -> None:
    before, half = module._tokens(tiny("llama"))
    assert not {0, 1, 2} & set(half)  # marks of the tokenizer
    assert before in ([], [1])


def test_it_is_measured_once_and_again_after_a_change(nano: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    first = head_scores(nano, "previous")
    measured: list[int] = []
    measure = module._measure
    monkeypatch.setattr(module, "_measure", lambda model: measured.append(1) or measure(model))
    head_scores(nano, "self")
    assert not measured
    first[:] = 5  # a copy: what is kept stays
    assert float(head_scores(nano, "previous").max()) <= 1
    weight = next(nano.model.parameters())
    with torch.no_grad():
        weight[0, 0] += 1
    try:
        assert kept_scores(nano) is None
        head_scores(nano, "previous")
        assert measured
    finally:
        with torch.no_grad():
            weight[0, 0] -= 1


def test_what_is_refused(nano: LanguageModel) -> None:
    with pytest.raises(ValueError, match="induction"):
        head_scores(nano, "clever")


def test_a_model_without_attention_is_refused() -> None:
    from tests.partly_open import partly_open

    with pytest.raises(Unsupported):
        head_scores(partly_open("mamba"))


@pytest.mark.real
def test_smollm2_has_induction_heads(smollm2: LanguageModel) -> None:
    found = txpanel.head_scores(smollm2)
    assert found.shape == (30, 9)
    assert float(found.max()) > 0.5
    assert float(found.median()) < 0.1
