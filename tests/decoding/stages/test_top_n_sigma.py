"""Top-nσ as published, against a few lines of NumPy; its place in the chain; what it does from a link to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import txpanel
from txpanel import sampling
from txpanel.models.language_model import LanguageModel
from txpanel.page.address import read, write
from txpanel.session import run_file
from txpanel.session.tree_codec import pack, record, unpack
from txpanel.testing import nano_state

ROW = npt.NDArray[np.float32]


def published(logits: ROW, n: float, temperature: float = 1.0) -> set[int]:
    """Tang et al. 2024, algorithm 1: scale, then keep what is at or above the maximum less n standard deviations."""
    scaled = (logits / np.float32(temperature)).astype(np.float64)
    left = scaled[np.isfinite(scaled)]
    return set(np.flatnonzero(scaled >= left.max() - n * left.std(ddof=1)).tolist())


def kept(sample: sampling.Sample, stage: str = "top_n_sigma") -> set[int]:
    return set(np.flatnonzero(np.isfinite(sample.stage(stage).logits)).tolist())


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_is_what_the_paper_says(seed: int) -> None:
    chance = np.random.default_rng(seed)
    row = (chance.normal(size=int(chance.choice([2, 40, 3000]))) * chance.choice([0.1, 2, 9])).astype(np.float32)
    row[chance.random(len(row)) < 0.1 * (len(row) > 2)] = -np.inf
    n, temperature = float(chance.uniform(0.05, 4)), float(chance.uniform(0.3, 3))
    sample = sampling.pipeline(row, top_n_sigma=n, temperature=temperature)
    assert kept(sample) == published(row, n, temperature)
    removed = [token for token in range(len(row)) if np.isfinite(row[token]) and token not in kept(sample)]
    assert {sample.removed_by(token) for token in removed} <= {"top_n_sigma"}
    assert sample.token in kept(sample)


def test_the_temperature_does_not_change_which_tokens_are_left() -> None:
    row = np.random.default_rng(1).normal(size=2000).astype(np.float32)
    sets = [
        kept(sampling.pipeline(row, top_n_sigma=1.5, temperature=t)) for t in (0.25, 1.0, 4.0)
    ]  # powers of two: exact
    assert sets[0] == sets[1] == sets[2]
    assert 1 < len(sets[0]) < 2000


def test_it_comes_after_the_temperature_and_before_what_cuts() -> None:
    names = sampling.STAGES
    assert names[names.index("temperature") + 1] == "top_n_sigma" == names[names.index("top_h") - 1]
    row = np.random.default_rng(2).normal(size=500).astype(np.float32)
    both = sampling.pipeline(row, top_n_sigma=1.0, top_k=5)
    assert kept(both) == published(row, 1.0)  # of all logits, not of those five
    repeated = sampling.pipeline(row, top_n_sigma=1.0, no_repeat_ngram_size=1, ids=[int(row.argmax())])
    assert kept(repeated) == published(np.where(row == row.max(), -np.inf, row).astype(np.float32), 1.0)


def test_one_token_stays_whatever_the_number() -> None:
    assert kept(sampling.pipeline([1.0, 3.0], top_n_sigma=0.01)) == {1}
    assert kept(sampling.pipeline([1.0], top_n_sigma=1)) == {0}
    assert kept(sampling.pipeline([1.0, 3.0, 2.0], top_n_sigma=2, temperature=0)) == {1}
    assert kept(sampling.pipeline([2.0, 2.0, 2.0], top_n_sigma=1)) == {0, 1, 2}


def test_it_is_off_at_0_and_in_every_preset() -> None:
    row = np.random.default_rng(3).normal(size=50)
    assert not sampling.pipeline(row, top_n_sigma=0).stage("top_n_sigma").active
    assert all(preset.top_n_sigma == 0 for preset in sampling.PRESETS.values())


def test_a_generation_is_cut_by_it_and_comes_back_from_link_and_file(nano: LanguageModel, tmp_path: Path) -> None:
    given: dict[str, Any] = {"top_n_sigma": 2.0, "temperature": 3.0}
    steps = list(txpanel.generate(nano, "CBABBC=", 5, **given))
    for step in steps:
        assert step.token in published(step.before.logits.values, 2.0, 3.0)
    state = nano_state("CBABBC=", **given)
    state.generate(5)
    tree = state.tree
    assert [node.token for node in tree.nodes] == [step.token for step in steps]
    assert read(write({"top_n_sigma": 0.75}))["top_n_sigma"] == 0.75
    assert unpack(pack(record(tree)), tree.root.text) == record(tree)
    path = tmp_path / "run.safetensors"
    path.write_bytes(run_file.to_bytes(tree, state.model, "nano", state.settings))
    found = run_file.read(path, "run")
    assert isinstance(found, run_file.SavedRun)
    assert found.settings.top_n_sigma == 2.0
    state.restore(found.record)
    assert record(state.tree) == record(tree)
