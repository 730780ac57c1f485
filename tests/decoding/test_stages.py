"""Whole generations of the untouched Hugging Face model, step by step, against `txpanel.sampling` for random settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper

import txpanel
from tests.sweeping import first
from txpanel import sampling
from txpanel.decoding import processors
from txpanel.decoding.cumulative import bounds
from txpanel.decoding.fast_sort import TopP, TypicalP, ascending
from txpanel.decoding.stages import SPECS
from txpanel.models.language_model import LanguageModel

NO_IDS = torch.empty((1, 0), dtype=torch.long)
STEPS = 5


def some_settings(seed: int) -> dict[str, Any]:
    """Each declared stage on or off, anywhere between the ends of its slider (temperature beyond its end)."""
    chance = np.random.default_rng(seed)
    given: dict[str, Any] = {}
    for spec in SPECS:
        low, high, step = spec.slider
        if spec.kind is int:
            given[spec.key] = int(chance.integers(max(low, 1) + (spec.key == "no_repeat_ngram_size"), high * 0.8))
        else:
            given[spec.key] = float(
                chance.uniform(low + 2 * step, high * (1.5 if spec.key == "temperature" else 0.999))
            )
    return {name: value for name, value in given.items() if chance.random() < 0.55}


def of_generate(settings: dict[str, Any]) -> dict[str, Any]:
    """Those that transformers' ``generate`` takes itself."""
    return {name: value for name, value in settings.items() if hasattr(GenerationConfig(), name)}


def their_generation(model: LanguageModel, ids: list[int], seed: int, **settings: Any) -> Any:
    """transformers' own ``generate``, as a user calls it, with the scores and logits of each step."""
    torch.manual_seed(seed)
    options = {"do_sample": True, "top_k": 0, **settings}
    return model.model.generate(
        torch.tensor([ids]), max_new_tokens=STEPS, min_new_tokens=None, eos_token_id=None, pad_token_id=0,
        return_dict_in_generate=True, output_scores=True, output_logits=True, **options,
    )  # fmt: skip


def differences(out: Any, ids: list[int], settings: dict[str, Any]) -> list[str]:
    """Where the pipeline gives other numbers than ``generate`` did, for each of its steps."""
    wrong = []
    for step, (logits, scores) in enumerate(zip(out.logits, out.scores, strict=True)):
        so_far = out.sequences[0, : len(ids) + step]
        ours = sampling.pipeline(logits, **settings, ids=so_far)
        if not np.array_equal(ours.stages[-2].logits, scores[0].numpy()):
            wrong.append(f"step {step}")
    return wrong


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["llama", "gpt2", "nano"])
def test_scores_of_generate(seed: int, name: str, tiny: Callable[[str], LanguageModel], nano: LanguageModel) -> None:
    model = nano if name == "nano" else tiny(name)
    ids = model.encode("CBABBCABC=")
    settings = of_generate(some_settings(seed))
    out = their_generation(model, ids, seed, **settings)
    assert not differences(out, ids, settings)


@pytest.mark.real
@pytest.mark.parametrize("seed", first(2, range(8)))
def test_scores_of_generate_with_a_real_vocabulary(seed: int, smollm2: LanguageModel) -> None:
    ids = smollm2.encode("Data visualization empowers users to see the data that users")
    settings = of_generate(some_settings(seed + 100))
    out = their_generation(smollm2, ids, seed, **settings)
    assert not differences(out, ids, settings)


def test_another_order_of_the_stages_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[[str], LanguageModel]
) -> None:
    model = tiny("llama")
    ids = model.encode("CBABBCABC=")
    settings = {"temperature": 2.5, "top_p": 0.6, "repetition_penalty": 1.7, "typical_p": 0.8}
    out = their_generation(model, ids, 0, **settings)
    assert not differences(out, ids, settings)
    assert differences(out, ids, settings | {"temperature": 2.500001})
    assert differences(out, ids, {**settings, "repetition_penalty": 1.0})
    looking, others = ([spec for spec in SPECS if spec.looks_back is looks] for looks in (True, False))
    top_p = [spec for spec in SPECS if spec.key == "top_p"]
    for wrong in ([*others, *looking], [*top_p, *looking, *(spec for spec in others if spec not in top_p)]):
        monkeypatch.setattr(processors, "SPECS", wrong)
        assert len(differences(out, ids, settings)) > 2


@pytest.mark.parametrize("seed", range(12))
def test_greedy_generation_takes_their_tokens(seed: int, tiny: Callable[[str], LanguageModel]) -> None:
    model = tiny("gpt2")
    ids = model.encode("CBABBCABC=")
    looking = {spec.key for spec in SPECS if spec.looks_back}
    kept = {k: v for k, v in of_generate(some_settings(seed)).items() if k in looking}
    out = their_generation(model, ids, seed, **kept, do_sample=False)
    steps = list(txpanel.generate(model, ids, STEPS, temperature=0, **kept))
    assert [step.token for step in steps] == out.sequences[0, len(ids) : len(ids) + len(steps)].tolist()
    for step, scores in zip(steps, out.scores, strict=False):
        mine = step.sample.stage("no_repeat_ngram_size").logits
        np.testing.assert_allclose(
            mine, scores[0].numpy(), atol=5e-5
        )  # ours were recorded and their last token read twice, theirs came from a cache
        assert step.sample.removed_by(step.token) is None


@pytest.mark.parametrize("seed", range(8))
def test_the_same_seed_gives_the_same_tokens(seed: int, nano: LanguageModel) -> None:
    settings = some_settings(seed) | {"temperature": 2.0}
    once, again = ([s.token for s in txpanel.generate(nano, "CBABBC=", 6, seed=seed, **settings)] for _n in range(2))
    assert once == again
    other = [[s.token for s in txpanel.generate(nano, "CBABBC=", 6, seed=k, temperature=3.0)] for k in range(5)]
    assert len({tuple(tokens) for tokens in other}) > 1


@pytest.mark.parametrize("vocabulary", [7, 300, 5000, 50_000])
def test_the_fast_sort_changes_nothing(vocabulary: int) -> None:
    """Ties included: half of the rows are rounded to 8 bits, as a bfloat16 model's are."""
    chance = np.random.default_rng(vocabulary)
    for _n in range(12):
        row = torch.from_numpy(chance.normal(size=(1, vocabulary)) * chance.choice([0.01, 0.5, 2, 4])).float()
        row = row.bfloat16().float() if chance.random() < 0.5 else row
        row = TopKLogitsWarper(max(1, vocabulary // 3))(NO_IDS, row) if chance.random() < 0.4 else row
        mass = float(chance.uniform(0.02, 0.99))
        assert torch.equal(TopP(mass)(NO_IDS, row), TopPLogitsWarper(mass)(NO_IDS, row))
        assert torch.equal(TypicalP(mass)(NO_IDS, row), TypicalLogitsWarper(mass)(NO_IDS, row))


def test_sorting_keeps_ties_in_their_order() -> None:
    values = np.array([0.0, -0.0, 3, -np.inf, 0.0, -1e-42, np.inf, 3], np.float32)
    assert ascending(values).tolist() == np.argsort(values, kind="stable").tolist() == [3, 5, 0, 1, 4, 2, 7, 6]


@pytest.mark.parametrize("vocabulary", [3, 1500, 30_000])
def test_a_draw_from_the_likeliest_is_the_draw_from_all(vocabulary: int) -> None:
    chance = np.random.default_rng(1)
    for seed in range(30):
        row = (chance.normal(size=vocabulary) * chance.choice([0.01, 1, 4, 30])).astype(np.float32)
        s = sampling.pipeline(row, seed=seed)
        order = np.argsort(-row, kind="stable")
        at = bounds(s.probabilities[order])
        rank = int(np.searchsorted(at, s.draw.uniform, side="right")) - 1
        assert np.array_equal(s.order, order)
        assert (s.token, s.draw.rank, s.draw.low, s.draw.high) == (order[rank], rank, at[rank], at[rank + 1])


def test_a_flat_vocabulary_is_seldom_sorted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where equals could change typical-p's result transformers' own class decides, at twice the time: that must be rare."""
    own, slow = TypicalLogitsWarper.__call__, list[int]()

    def counted(self: TypicalLogitsWarper, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        slow.append(1)
        return own(self, ids, scores)

    monkeypatch.setattr(TypicalLogitsWarper, "__call__", counted)
    chance = np.random.default_rng(11)
    for _n in range(20):
        row = torch.from_numpy((chance.normal(size=50_000) * 0.01).astype(np.float32))[None]
        mass = float(chance.uniform(0.1, 0.95))
        assert torch.equal(TypicalP(mass)(None, row), own(TypicalLogitsWarper(mass), None, row))
    assert len(slow) <= 6
