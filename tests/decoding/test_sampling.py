"""Sampling: each stage equals transformers' own, and the draw is what the docstring says."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, LogitsProcessorList
from transformers.generation.logits_process import LogitsProcessor

from txpanel import sampling
from txpanel.decoding.left_out import _rules
from txpanel.decoding.stages import SPECS
from txpanel.errors import NoTokenLeft, Unsupported
from txpanel.models.language_model import LanguageModel

V = 997
SETTINGS = [
    {"temperature": t, "top_k": k, "top_p": p, "min_p": m}
    for t, k, p, m in itertools.product((0.3, 1.0, 1.7), (0, 1, 50, 5000), (1.0, 0.9, 0.05), (0.0, 0.02, 1.0))
]
PROMPT = [3, 1, 4, 1, 5, 3, 1]


def settings_of_chance(n: int) -> list[dict[str, float]]:
    """Every stage on or off, with values from its whole range."""
    chance = np.random.default_rng(11)
    ranges = {
        "temperature": (0.2, 3.0),
        "top_k": (1, 60),
        "top_p": (0.05, 0.999),
        "min_p": (0.001, 0.3),
        "typical_p": (0.05, 0.999),
        "repetition_penalty": (0.5, 2.0),
        "no_repeat_ngram_size": (1, 4),
    }
    found = []
    for _n in range(n):
        drawn = {
            name: int(chance.integers(low, high))
            if isinstance(high, int)
            else round(float(chance.uniform(low, high)), 4)
            for name, (low, high) in ranges.items()
            if chance.random() < 0.5
        }
        found.append(drawn)
    return found


def rows(n: int = 3) -> torch.Tensor:
    return torch.randn(n, V, generator=torch.Generator().manual_seed(5)) * 3


class Recorder(LogitsProcessor):
    """Stands behind a processor in transformers' own list and keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.seen.append(scores[0].clone())
        return scores


@pytest.fixture(scope="module")
def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=V, n_layer=1, n_head=2, n_embd=16, n_positions=32, initializer_range=0.5)
    config.bos_token_id = config.eos_token_id = None
    return GPT2LMHeadModel(config).eval()


@pytest.mark.parametrize("settings", [*SETTINGS, *settings_of_chance(200)], ids=str)
def test_each_stage_equals_the_one_in_generate(gpt2: GPT2LMHeadModel, settings: dict[str, float]) -> None:
    """The list that generate assembles itself, with a recorder behind each of its processors."""
    recorders: list[Recorder] = []
    assemble = gpt2._get_logits_processor

    def listening(*args: object, **kwargs: object) -> LogitsProcessorList:
        parts = assemble(*args, **kwargs)
        recorders.extend(Recorder() for _part in parts)
        return LogitsProcessorList([one for pair in zip(parts, recorders, strict=True) for one in pair])

    gpt2._get_logits_processor = listening
    try:
        out = gpt2.generate(
            torch.tensor([PROMPT]), max_new_tokens=1, do_sample=True, pad_token_id=0, return_dict_in_generate=True,
            output_logits=True, output_scores=True, renormalize_logits=True, top_k=settings.get("top_k", 0),
            min_p=settings.get("min_p") or None,
            **{name: value for name, value in settings.items() if name not in ("top_k", "min_p")},
        )  # fmt: skip
    finally:
        del gpt2._get_logits_processor
    ours = sampling.pipeline(out.logits[0], **settings, ids=PROMPT)
    active = [stage for stage in ours.stages[1:] if stage.active]
    assert len(active) == len(recorders)
    for stage, recorder in zip(active, recorders, strict=True):
        assert np.array_equal(stage.logits, recorder.seen[0].numpy()), stage.name
    assert np.array_equal(ours.stages[-1].logits, out.scores[0][0].numpy())
    reference = (recorders[-2].seen[0] if len(recorders) > 1 else out.logits[0][0]).double().softmax(-1).numpy()
    np.testing.assert_allclose(ours.probabilities, reference, rtol=1e-12, atol=1e-15)


def test_stages_are_always_the_same_and_off_ones_change_nothing() -> None:
    s = sampling.pipeline(rows()[0], temperature=1, top_k=0, top_p=1, min_p=0)
    assert tuple(stage.name for stage in s.stages) == sampling.STAGES
    assert [stage.active for stage in s.stages] == [True, *(False for _spec in SPECS), True]
    for stage in s.stages:
        assert stage.kept == V
        if stage.name != "renormalise":
            assert np.array_equal(stage.logits, rows()[0].numpy())
        assert math.isclose(stage.probabilities.sum(), 1, abs_tol=1e-12)


def test_what_is_left_is_counted() -> None:
    s = sampling.pipeline(rows()[0], temperature=0.8, top_k=50, top_p=0.9, min_p=0.1)
    kept = {stage.name: stage.kept for stage in s.stages}
    assert (kept["temperature"], kept["top_k"]) == (V, 50)
    assert 50 > kept["top_p"] >= kept["min_p"] == kept["renormalise"] == len(s.order) >= 1
    left = s.stage("top_k").probabilities[np.isfinite(s.stage("top_p").logits)]
    assert left.sum() >= 0.9  # top-p keeps what reaches p ...
    assert left.sum() - left.min() < 0.9  # ... and no token more
    assert (s.probabilities[s.order] >= 0.1 * s.probabilities.max() - 1e-9).all()


@pytest.mark.parametrize("seed", range(20))
def test_temperature_zero_is_argmax(seed: int) -> None:
    row = rows()[0]
    s = sampling.pipeline(row, temperature=0, top_k=40, top_p=0.5, min_p=0.1, seed=seed)
    assert s.token == int(row.argmax())
    assert s.stage("temperature").kept == 1
    assert s.probabilities[s.token] == 1
    assert (s.draw.low, s.draw.high, s.draw.rank) == (0, 1, 0)
    assert s.stages[-1].entropy == 0


def test_among_equals_the_first_wins_at_temperature_zero() -> None:
    assert sampling.pipeline(np.array([0.0, 2.0, 2.0]), temperature=0).token == 1


def test_tiny_temperatures_do_not_overflow() -> None:
    s = sampling.pipeline(rows()[0] + 100, temperature=1e-38)
    assert s.token == int(rows()[0].argmax())
    assert not np.isnan(s.probabilities).any()


def test_the_draw_is_the_interval_into_which_u_falls() -> None:
    for seed in range(200):
        s = sampling.pipeline(rows()[0], temperature=1.5, top_k=20, seed=seed)
        u = np.random.Generator(np.random.PCG64(seed)).random()
        assert s.draw.uniform == u
        assert s.draw.low <= u < s.draw.high
        assert s.order[s.draw.rank] == s.token
        before = s.probabilities > s.probabilities[s.token]
        assert math.isclose(s.draw.low, s.probabilities[before].sum(), abs_tol=1e-12)
        assert math.isclose(s.draw.high - s.draw.low, s.probabilities[s.token], abs_tol=1e-12)


def test_draws_follow_the_probabilities() -> None:
    row = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    n = 4000
    counts = np.bincount([sampling.pipeline(row, seed=seed).token for seed in range(n)], minlength=4)
    chi2 = (((counts - n * np.exp(row)) ** 2) / (n * np.exp(row))).sum()
    assert chi2 < 16.3  # 3 degrees of freedom, p = 0.001; the seeds are fixed, so this cannot flicker


def test_the_same_seed_draws_the_same_token_and_u_ignores_the_settings() -> None:
    first, second = (sampling.pipeline(rows()[1], temperature=1.2, seed=7) for _again in range(2))
    assert first.token == second.token
    assert first.draw == second.draw
    assert sampling.pipeline(rows()[2], top_k=3, seed=7).draw.uniform == first.draw.uniform


def test_arrays_tensors_and_data_arrays_are_all_taken_and_left_alone() -> None:
    row = rows()[0]
    given = [row, row[None], row.numpy(), row.double().numpy(), row.tolist(), xr.DataArray(row.numpy(), dims=["vocab"])]
    expected = sampling.pipeline(row, temperature=0.5, top_k=9)
    for logits in given:
        s = sampling.pipeline(logits, temperature=0.5, top_k=9)
        assert s.token == expected.token
        assert np.array_equal(s.stages[0].logits, rows()[0].numpy())
    assert torch.equal(row, rows()[0])
    assert sampling.pipeline(row.to(torch.bfloat16)).stages[0].logits.dtype == np.float32


def test_removed_tokens_of_the_model_stay_removed() -> None:
    s = sampling.pipeline(np.array([1.0, -np.inf, 0.5]), temperature=0.7)
    assert {stage.kept for stage in s.stages} == {2}
    assert (s.removed_by(1), s.removed_by(0)) == ("logits", None)
    assert s.probabilities[1] == 0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_p": -0.1}, "top_p"),
        ({"min_p": 2}, "min_p"),
        ({"min_p": math.nan}, "min_p"),
        ({"typical_p": 0}, "typical_p"),
        ({"typical_p": 1.5}, "typical_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": math.inf}, "repetition_penalty"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"no_repeat_ngram_size": 1.0}, "no_repeat_ngram_size"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused_in_words(settings: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word) as refusal:
        sampling.pipeline(rows()[0], **settings)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("logits", [[], [[1.0, 2.0], [3.0, 4.0]], [math.nan, 1.0], [math.inf, 1.0], [-math.inf] * 2])
def test_what_is_no_row_of_logits_is_refused_in_words(logits: list[float]) -> None:
    with pytest.raises(ValueError, match="logits"):
        sampling.pipeline(np.array(logits))


def test_entropy_is_in_bits() -> None:
    assert math.isclose(sampling.pipeline(np.zeros(8)).stages[0].entropy, 3)


def test_it_is_known_which_stage_removed_a_token() -> None:
    row = np.log(np.array([0.4, 0.3, 0.15, 0.1, 0.05]))
    s = sampling.pipeline(row, no_repeat_ngram_size=2, top_k=3, top_p=0.7, ids=[2, 1, 2])
    assert [s.removed_by(token) for token in range(5)] == [None, "no_repeat_ngram_size", None, "top_p", "top_k"]
    left_or_why = [sampling.STAGES[place] if place >= 0 else None for place in s.removed]
    assert left_or_why == [None, "no_repeat_ngram_size", None, "top_p", "top_k"]
    assert sampling.pipeline(row, top_k=2).removed_by(4) == "top_k"
    assert [sampling.pipeline(row, temperature=0).removed_by(t) for t in (0, 1)] == [None, "temperature"]


def test_a_penalty_needs_the_tokens_so_far() -> None:
    for settings in ({"repetition_penalty": 1.2}, {"no_repeat_ngram_size": 2}):
        with pytest.raises(ValueError, match="needs the ids"):
            sampling.pipeline(rows()[0], **settings)


def test_no_token_left_is_refused_in_words() -> None:
    with pytest.raises(NoTokenLeft, match="no_repeat_ngram_size cut off every token"):
        sampling.pipeline(np.zeros(3), no_repeat_ngram_size=1, ids=[0, 1, 2])
    with pytest.raises(NoTokenLeft, match="repetition_penalty made a logit infinite"):
        sampling.pipeline(np.array([3e38, 1.0]), repetition_penalty=1e-3, ids=[0])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, sampling.Settings(temperature=0.0)),
        ({"repetition_penalty": 1.1, "top_p": 0.8}, sampling.Settings(temperature=0.0, repetition_penalty=1.1)),
        ({"do_sample": True}, sampling.Settings(top_k=50)),
        ({"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.05, "typical_p": 0.9},
         sampling.Settings(0.6, 20, 0.95, 0.05, typical_p=0.9)),
        ({"do_sample": True, "epsilon_cutoff": 0.02, "eta_cutoff": 0.3, "top_k": 0}, sampling.Settings(epsilon_cutoff=0.02, eta_cutoff=0.3)),
        ({"do_sample": True, "top_h": 0.4, "top_k": 0, "epsilon_cutoff": 1.0}, sampling.Settings(top_h=0.4)),
        ({"do_sample": False, "temperature": 0.3, "top_h": 0.4, "eta_cutoff": 0.1}, sampling.Settings(temperature=0.0)),
        ({"do_sample": True, "temperature": -1.0}, None),
        ({"do_sample": True, "temperature": 0.0}, None),
    ],
)  # fmt: skip
def test_the_models_own_settings_are_those_that_generate_takes(
    gpt2: GPT2LMHeadModel, config: dict[str, float], expected: sampling.Settings | None
) -> None:
    own = sampling.own_settings(GenerationConfig(**config))
    assert own == expected
    if own is None:
        return
    torch.manual_seed(0)
    config_of_model = GenerationConfig(
        **config, pad_token_id=0, return_dict_in_generate=True, output_scores=True, output_logits=True
    )
    out = gpt2.generate(torch.tensor([PROMPT]), generation_config=config_of_model, max_new_tokens=1)
    ours = sampling.sample(out.logits[0], own, PROMPT)
    stage = ours.stages[-2] if own.temperature else ours.stage("no_repeat_ngram_size")
    assert np.array_equal(stage.logits, out.scores[0][0].numpy())


LEFT_OUT: dict[str, Any] = {
    "suppress_tokens": [5, 7], "begin_suppress_tokens": [5], "bad_words_ids": [[9]], "sequence_bias": [[[3], -2.0]], "forced_bos_token_id": 0,
    "forced_eos_token_id": 2, "min_length": 9, "min_new_tokens": 3, "exponential_decay_length_penalty": (2, 1.5), "encoder_repetition_penalty": 1.3,
    "encoder_no_repeat_ngram_size": 2, "num_beams": 3, "guidance_scale": 2.0, "stop_strings": ["end"], "max_new_tokens": 7, "max_length": 40,
}  # fmt: skip
"""Entries that change what ``generate`` writes and that no stage does."""


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_the_models_own_settings_leave_out_is_named(name: str) -> None:
    own = sampling.own_settings(GenerationConfig(**{name: LEFT_OUT[name]}))
    assert own is not None
    assert [text.split(" = ")[0] for text in own.left_out] == [name]
    assert own == sampling.Settings(temperature=0.0)  # it says something beside the numbers
    later = replace(own, seed=3)
    assert later.left_out == own.left_out


def test_a_model_is_asked_for_its_own_settings_and_nothing_is_made_of_what_is_none(gpt2: GPT2LMHeadModel) -> None:
    said = copy.deepcopy(gpt2)
    said.generation_config = GenerationConfig(suppress_tokens=[5], no_repeat_ngram_size=3)
    model = LanguageModel.wrap(said)
    expected = sampling.own_settings(said.generation_config)
    assert expected is not None
    assert expected.left_out
    for given in (said, model):
        own = sampling.own_settings(given)
        assert own == expected
        assert own is not None
        assert own.left_out == expected.left_out
    with pytest.raises(Unsupported, match="neither a model nor"):
        sampling.own_settings({"suppress_tokens": [5]})


def test_every_entry_of_a_generation_config_is_a_stage_or_named_or_changes_no_text() -> None:
    """A later transformers with one more entry fails here."""
    plain = {
        "do_sample", "early_stopping", "use_mtp", "use_cache", "cache_implementation", "cache_config", "max_cache_len", "length_penalty",
        "renormalize_logits", "remove_invalid_values", "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores",
        "output_logits", "return_dict_in_generate", "pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "is_assistant",
        "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size",
        "assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight", "speculation_type", "compile_config",
        "disable_compile",
        "continuous_batching_config", "low_memory", "diversity_penalty", "prefill_chunk_size", "transformers_version",
    }  # fmt: skip
    for name in vars(GenerationConfig()):
        stage = name in sampling.FIELDS
        assert stage or name.startswith("_") or name in plain or name in _rules(), name


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"top_k": 5},
        {"penalty_alpha": 0.6, "do_sample": True},
        {"num_beams": 1, "suppress_tokens": []},
        {"forced_bos_token_id": False},
    ],
)
def test_nothing_is_named_that_does_nothing(config: dict[str, Any]) -> None:
    own = sampling.own_settings(GenerationConfig(**config))
    assert own is not None
    assert own.left_out == ()


def test_other_seeds_give_what_a_pipeline_with_them_would() -> None:
    row = rows()[0] / 3
    settings = {"temperature": 1.3, "top_k": 30, "typical_p": 0.9}
    s = sampling.pipeline(row, **settings)
    expected = [sampling.pipeline(row, **settings, seed=seed).token for seed in range(300)]
    assert s.outcomes(range(300)).tolist() == expected
    counts = np.bincount(s.outcomes(), minlength=V)
    p = s.probabilities
    assert (np.abs(counts - 1000 * p) <= 5 * np.sqrt(1000 * p * (1 - p)) + 1e-9).all()
    assert s.outcomes([7]).tolist() == [sampling.pipeline(row, **settings, seed=7).token]
