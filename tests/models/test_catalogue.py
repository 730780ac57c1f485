from __future__ import annotations

import re

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from txpanel.models import catalogue

ASKED_FOR = (
    "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2", "smollm2-135m", "gemma3-270m", "pythia-70m",
    "pythia-160m", "qwen3-0.6b", "llama-3.2-1b", "nano",
)  # fmt: skip

# What the models' own configurations say; the catalogue's parameter counts must follow from them.
SHAPES = {
    "gpt2": {},
    "gpt2-medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16},
    "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
    "gpt2-xl": {"n_embd": 1600, "n_layer": 48, "n_head": 25},
    "distilgpt2": {"n_layer": 6},
    "smollm2-135m": {
        "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True,
    },
    "gemma3-270m": {
        "hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 256, "intermediate_size": 2048, "vocab_size": 262144,
    },
    "pythia-70m": {
        "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 2048,
        "vocab_size": 50304,
    },
    "pythia-160m": {
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "vocab_size": 50304,
    },
    "qwen3-0.6b": {
        "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151936, "tie_word_embeddings": True,
    },
    "llama-3.2-1b": {
        "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 64, "intermediate_size": 8192, "vocab_size": 128256, "tie_word_embeddings": True,
    },
}  # fmt: skip


def test_what_was_asked_for_is_there() -> None:
    assert set(ASKED_FOR) <= set(catalogue.names())


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_follow_from_the_shape(name: str) -> None:
    entry = catalogue.find(name)
    assert entry is not None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(entry.family, **SHAPES[name]))
    assert entry.parameters == model.num_parameters()


@pytest.mark.parametrize("entry", catalogue.CATALOGUE, ids=lambda entry: entry.name)
def test_every_entry_says_what_it_is(entry: catalogue.Entry) -> None:
    assert entry.title
    assert entry.family
    assert entry.licence
    assert entry.sources
    assert (entry.nbytes > 0) == (entry.hub is not None)
    if entry.hub is not None:
        assert re.fullmatch(r"[\w-]+/[\w.-]+", entry.hub)
        assert entry.sources[:2] == ("cache", "hub")
        assert 1.9 < entry.nbytes / entry.parameters < 4.6, "bytes do not fit 16 or 32 bit weights"
    if entry.gated:
        assert entry.terms


def test_packages_are_pinned_by_hash() -> None:
    carried = [entry for entry in catalogue.CATALOGUE if entry.packages is not None]
    assert {entry.name for entry in carried} == {"smollm2-135m", "gemma3-270m"}
    for entry in carried:
        assert entry.packages is not None
        assert entry.sources[-1] == "package index"
        assert entry.packages.nbytes == sum(wheel.nbytes for wheel in entry.packages.wheels)
        for digest in [entry.packages.sha256, *(wheel.sha256 for wheel in entry.packages.wheels)]:
            assert re.fullmatch("[0-9a-f]{64}", digest)


def test_names_are_found_however_written_and_only_once() -> None:
    assert catalogue.find(" GPT2 ") is catalogue.find("openai-community/gpt2")
    assert catalogue.find("smollm2") is catalogue.find("smollm2-135m")
    assert catalogue.find("nope") is None
    every = [name for entry in catalogue.CATALOGUE for name in (entry.name, *entry.aliases)]
    assert len(every) == len(set(every))
