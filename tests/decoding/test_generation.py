"""Generation: each step recorded, equal to transformers' own loop and to a run of the whole text."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

import txpanel
from txpanel.decoding import cumulative
from txpanel.decoding.generation import end_tokens, generate
from txpanel.errors import EmptyText, TooLong
from txpanel.models.language_model import LanguageModel
from txpanel.sampling import FIELDS, own_settings, pipeline

Tiny = Callable[[str], LanguageModel]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text", "gpt_oss"])
def test_greedy_generation_equals_transformers(tiny: Tiny, family: str) -> None:
    model = tiny(family)
    ids = model.encode("seven words")
    reference = model.model.generate(
        torch.tensor([ids]), max_new_tokens=8, do_sample=False, pad_token_id=0, eos_token_id=sorted(end_tokens(model))
    )[0]
    steps = list(generate(model, "seven words", 8, temperature=0))
    assert [*ids, *(step.token for step in steps)] == reference.tolist()


@pytest.mark.parametrize(
    "config",
    [{}, {"do_sample": False, "temperature": 0.3, "top_k": 3}, {"repetition_penalty": 1.6, "no_repeat_ngram_size": 2}, {"eos_token_id": [2, 70, 71]}],
)  # fmt: skip
def test_the_models_own_settings_write_what_generate_writes(
    tiny: Tiny, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    monkeypatch.setattr(
        model.model, "generation_config", GenerationConfig(**{"eos_token_id": 2, "pad_token_id": 0, **config})
    )
    ids = model.encode("seven words")
    reference = model.model.generate(torch.tensor([ids]), max_new_tokens=12)[0]
    own = own_settings(model.model.generation_config)
    assert own is not None
    assert own.left_out == ()
    steps = list(generate(model, "seven words", 12, **{name: getattr(own, name) for name in FIELDS}))
    assert [*ids, *(step.token for step in steps)] == reference.tolist()


def test_steps_are_recorded_and_each_has_one_row_more(tiny: Tiny) -> None:
    model = tiny("gpt2")
    n = len(model.encode("seven words"))
    steps = list(txpanel.generate(model, "seven words", max_new_tokens=5, temperature=2.0, seed=3))
    assert [len(step.before.tokens) for step in steps] == list(range(n, n + len(steps)))
    assert [len(step.trace.tokens) for step in steps] == list(range(n + 1, n + 1 + len(steps)))
    for i, step in enumerate(steps):
        assert step.index == i
        assert step.trace.tokens.ids[-1] == step.token
        assert step.string == step.trace.tokens.strings[-1]
        again = pipeline(step.before.logits, temperature=2.0, seed=3 + i)
        assert again.token == step.token
        assert np.array_equal(again.probabilities, step.sample.probabilities)
    whole = model.model(torch.tensor([steps[-1].trace.tokens.ids.tolist()])).logits[0, -1]
    np.testing.assert_allclose(steps[-1].trace.logits.values, whole.detach().numpy(), rtol=1e-4, atol=1e-4)


def test_what_the_draw_did_not_need_is_worked_out_when_it_is_looked_at(tiny: Tiny) -> None:
    """A greedy step keeps one row of logits, its run's own; its stages are nonetheless those of the pipeline."""
    for step in generate(tiny("gpt2"), "Zebras", 3, temperature=0, top_k=5, seed=3):
        assert step.sample.ready == ()
        assert np.shares_memory(step.sample.logits, step.before.tensor("logits").numpy())
        whole = pipeline(step.before.logits, temperature=0, top_k=5, seed=3 + step.index)
        drawn = cumulative.draw(whole.stages[-2].logits, whole.probabilities, 3 + step.index)
        assert (step.sample.token, step.sample.draw) == (whole.token, whole.draw) == drawn
        assert [stage.kept for stage in step.sample.stages] == [stage.kept for stage in whole.stages]
        assert step.sample.probabilities[step.token] == 1


def test_a_step_computes_one_row_only(tiny: Tiny) -> None:
    steps = list(generate(tiny("llama"), "seven words", 4, seed=1))
    for step in steps:
        assert step.trace.recording.reused == len(step.before.tokens)


def test_the_same_seed_gives_the_same_text(tiny: Tiny) -> None:
    first, second = ([step.token for step in generate(tiny("gpt2"), "ab", 10, seed=5)] for _again in range(2))
    other = [step.token for step in generate(tiny("gpt2"), "ab", 10, seed=50)]
    assert first == second != other


def test_it_stops_at_an_end_token(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gpt2")
    third = list(generate(model, "seven", 5, temperature=0))[2].token
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", [2, third])
    steps = list(generate(model, "seven", 5, temperature=0))
    assert steps[-1].token == third
    assert steps[-1].ended == "end of text"
    assert all(not step.ended for step in steps[:-1])


def test_it_stops_when_the_model_is_full(tiny: Tiny) -> None:
    model = tiny("gpt2")
    start = [5] * (model.max_tokens - 2)
    steps = list(generate(model, start, 10, seed=1))
    assert [step.ended for step in steps] == ["", "full"]
    with pytest.raises(TooLong, match="Shorten"):
        generate(model, [5] * model.max_tokens)


def test_it_says_when_there_is_enough(tiny: Tiny) -> None:
    assert [step.ended for step in generate(tiny("gpt2"), "a", 2, temperature=0)] == ["", "enough"]


def test_cancel_stops_between_tokens(tiny: Tiny) -> None:
    cancel = threading.Event()
    seen = []
    for step in generate(tiny("gpt2"), "abc", 10, seed=1, cancel=cancel):
        seen.append(step.token)
        if len(seen) == 3:
            cancel.set()
    assert len(seen) == 3


def test_bad_arguments_are_refused_before_the_first_step(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="temperature"):
        generate(tiny("gpt2"), "a", temperature=-1)
    with pytest.raises(ValueError, match="1 or more"):
        generate(tiny("gpt2"), "a", 0)
    with pytest.raises(EmptyText):
        list(generate(tiny("gpt2"), ""))


def test_dynamic_ntk_is_generated_as_without_a_cache_and_says_so() -> None:
    """transformers' cache keeps keys with the angles of a shorter text: what comes from these is no pass of the model over the text."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    config = LlamaConfig(
        **sizes, vocab_size=100, max_position_embeddings=16, initializer_range=0.5, rope_parameters=rope
    )
    module = LlamaForCausalLM(config).eval()
    module.generation_config.eos_token_id = None
    ids, n = torch.arange(5, 17)[None], 24
    wanted = {  # each by a copy: its rotary module remembers the longest text so far
        cache: copy.deepcopy(module)
        .generate(ids, max_new_tokens=n, do_sample=False, use_cache=cache, pad_token_id=0)[0, 12:]
        .tolist()
        for cache in (True, False)
    }
    assert wanted[True] != wanted[False]
    model = LanguageModel.wrap(module)
    found = [step.token for step in txpanel.generate(model, ids[0].tolist(), n, temperature=0.0)]
    assert found == wanted[False]
    own = txpanel.sampling.own_settings(model)
    assert own is not None
    assert [said.split(":")[0] for said in own.left_out] == ["use_cache = True"]
    module.generation_config.use_cache = False
    assert not txpanel.sampling.own_settings(model).left_out
