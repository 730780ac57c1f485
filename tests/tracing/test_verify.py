"""A family that no test knows is proven at its first run, or refused in words."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.families import FAMILIES, GQA, tiny_tokenizer
from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.quirks import PROVEN
from txpanel.tracing.verify import is_verified, proven


def other(family: str) -> LanguageModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**GQA, "head_dim": 8})
    return LanguageModel.wrap(AutoModelForCausalLM.from_config(config), tiny_tokenizer())


def test_the_list_of_proven_families_is_the_tested_one() -> None:
    assert set(FAMILIES) == PROVEN


def test_another_transformers_is_proven_anew() -> None:
    """What a family computes may change with the version: GPT-J's rotation and scale did from 5.23 to 5.24."""
    assert proven("gptj", "5.21.0")
    assert proven("gptj", "5.24.1")
    assert not proven("gptj", "5.20.2")
    assert not proven("gptj", "5.25.0.dev0")
    assert not proven("helium", "5.23.0")


@pytest.mark.parametrize("family", ["gemma", "olmo", "olmo3", "nemotron", "cohere2", "helium", "seed_oss"])
def test_an_unknown_family_with_a_known_structure_opens(family: str) -> None:
    model = other(family)
    assert family not in PROVEN
    assert not is_verified(model)
    trace = model.trace("hello abc")
    assert is_verified(model)
    assert all(trace.check(layer).exact for layer in range(3))
    assert trace.why("blocks.1.mlp_out", token=2, feature=3).check.ok


@pytest.mark.parametrize("family", ["bitnet", "diffllama"])
def test_an_unknown_family_that_computes_otherwise_is_refused(family: str) -> None:
    model = other(family)
    with pytest.raises(Unsupported, match="does not know"):
        model.trace("hello abc")
