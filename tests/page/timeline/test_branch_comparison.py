"""Two branches side by side: every number against the model's own softmax, or against the tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from txpanel.page.timeline.branch_comparison import compared
from txpanel.page.timeline.controller import TimelineController
from txpanel.sampling import pipeline
from txpanel.session.state import ModelState
from txpanel.session.worker import Worker
from txpanel.testing import nano_state

TEXT = "CBABBC="


@pytest.fixture
def state() -> ModelState:
    """Four drawn tokens, and from the second another one, chosen by hand and continued with other settings."""
    made = nano_state(TEXT, temperature=3.0, seed=3)
    made.generate(4)
    made.go(1)
    made.append(next(int(t) for t in made.sampled.order[::-1] if t != made.tree.node(2).token))
    made.param.update(temperature=2.0, top_k=5)
    made.generate(2)
    return made


def probabilities(state: ModelState, ids: list[int]) -> Any:
    with torch.no_grad():
        return state.model.model(torch.tensor([ids])).logits[0].double().softmax(-1).numpy()


def test_every_number_is_the_model_s(state: ModelState) -> None:
    tree = state.tree
    shown = compared(state.model, tree, 4, tree.leaf)
    ids = [*tree.start, tree.node(1).token]
    own = probabilities(state, ids)[-1]
    assert (shown["shared"], shown["shared_counted"]) == (1, "1 token")
    assert "".join(shown["before"]) == (TEXT + tree.node(1).string)[-8:]
    model_p, drawn = shown["columns"]  # both parted with the same settings: one column of what was drawn from
    tokens = [token for token, _text in shown["choices"]]
    assert model_p["p"] == pytest.approx(own[tokens].tolist(), rel=1e-4)
    assert model_p["rest"] == pytest.approx(1 - own[tokens].sum(), abs=1e-6)
    with torch.no_grad():
        logits = state.model.model(torch.tensor([ids])).logits[0, -1]
    assert drawn["p"] == pytest.approx(pipeline(logits, 3.0).probabilities[tokens].tolist(), rel=1e-4)
    assert shown["rest"] == state.model.anatomy.vocab - len(tokens)
    assert set(np.argsort(-own)[:6].tolist()) <= set(tokens)
    for side, leaf, place in zip(shown["sides"], (4, tree.leaf), (0, 1), strict=True):
        whole = [*tree.start, *(tree.node(n).token for n in tree.path(leaf))]
        p = probabilities(state, whole)
        each = [float(p[i - 1, whole[i]]) for i in range(len(tree.start), len(whole))]
        assert [t[2] for t in side["tokens"]] == pytest.approx(each[1:], rel=1e-3)
        assert side["all"] == pytest.approx(math.fsum(map(math.log, each)), rel=1e-4)
        assert side["logp"] == pytest.approx(math.fsum(map(math.log, each[1:])), rel=1e-4)
        assert side["token"] == whole[len(tree.start) + 1]
        assert side["n"] == len(each) - 1
        assert shown["why"][place].startswith("AB"[place] + ": ")
    assert "was chosen by hand" in shown["why"][1]
    assert shown["same"].startswith("Where they split, the token of B was chosen by hand and the other one was drawn.")
    assert ["temperature", "3", "3 → 2"] in shown["settings"]
    assert ["top_k", "0", "0 → 5"] in shown["settings"]


def test_other_settings_at_the_parting_have_a_column_each() -> None:
    state = nano_state(TEXT, temperature=3.0, seed=3)
    state.generate(2)
    state.go(0)
    state.param.update(temperature=9.0, top_k=4, seed=11)
    while state.sampled.token == state.tree.node(1).token:
        state.seed += 1
    seed = state.seed
    state.append()
    tree = state.tree
    shown = compared(state.model, tree, 2, tree.leaf)
    assert [column["title"] for column in shown["columns"]] == [
        "the model",
        "with the settings of A",
        "with the settings of B",
    ]
    assert ["temperature", "3", "9"] in shown["settings"]
    assert ["seed", "3", str(seed)] in shown["settings"]
    pick = [token for token, _text in shown["choices"]].index(shown["sides"][1]["token"])
    assert shown["columns"][2]["rest"] == 0, "all others are cut off: nothing, and not what rounding leaves"
    assert shown["columns"][2]["p"][pick] == pytest.approx(tree.node(tree.leaf).p, rel=1e-5)
    assert shown["shared"] == 0


def test_the_strip_keeps_the_pair_while_one_looks_around(state: ModelState) -> None:
    strip = TimelineController()
    strip.attach(state)
    leaf = state.tree.leaf
    strip._on_message({"kind": "compare", "value": 4})
    assert [side["leaf"] for side in strip.component.compare["sides"]] == [leaf, 4]
    shown = strip.component.compare
    state.go(2)  # on the other branch: the two change sides
    assert [side["leaf"] for side in strip.component.compare["sides"]] == [4, leaf]
    state.go(3)
    state.go(leaf)
    assert strip.component.compare == shown
    for nonsense in (99, -1, 1.5, leaf, 2):
        strip._on_message({"kind": "compare", "value": nonsense})
        assert strip.component.compare == {}
    strip._on_message({"kind": "compare", "value": 4})
    state.text = "A="
    assert strip.component.compare == {}
    strip.close()


def test_a_comparison_that_was_closed_while_it_was_computed_does_not_come_back(state: ModelState) -> None:
    later: list[Callable[[], object]] = []
    strip = TimelineController()
    strip.attach(state)
    strip._comparer = Worker(later.append)
    strip._on_message({"kind": "compare", "value": 4})
    assert strip._comparer.wait(60)
    strip._on_message({"kind": "compare", "value": 0})
    for publish in later:
        publish()
    assert len(later) == 1
    assert strip.component.compare == {}
    strip.close()
