"""No array is forgotten: everything numeric that a built-in view sends to the browser is declared, and is what its declaration recomputes.

Each view is built on five shapes of model, its page is walked for arrays (`sent`), and each of them has to stand in a list (`declared`) and
to be equal to what is worked out there from the trace's tensors and the untouched checkpoint.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.families import tiny
from tests.sweeping import first
from tests.views.declared import DECLARED, Facts
from tests.views.declared_cache import CACHE
from tests.views.declared_flow import FLOW, SAMPLING
from tests.views.sent import Sent, sent
from txpanel.session.state import ModelState
from txpanel.views.attention.view import AttentionView
from txpanel.views.base import View
from txpanel.views.embedding.view import EmbeddingView
from txpanel.views.flow.view import FlowView
from txpanel.views.kv_cache.view import KVCacheView
from txpanel.views.mlp.view import MLPView
from txpanel.views.residual.view import ResidualView
from txpanel.views.sampling.view import SamplingView
from txpanel.views.softmax.view import SoftmaxView

FAMILIES = ("llama", "gpt2", "gemma3_text", "gpt_neox", "gptj")
VIEWS: tuple[type[View], ...] = (
    FlowView, AttentionView, EmbeddingView, MLPView, ResidualView, SoftmaxView, SamplingView, KVCacheView,
)  # fmt: skip
LINES = DECLARED | {"flow": FLOW, "sampling": SAMPLING, "kv-cache": CACHE}


def built(view: type[View], family: str) -> View:
    return view(ModelState(model=tiny(family), text="the cat sat", layer=1, head=1, key=3))


def rule_of(view: Any, one: Sent) -> Any:
    """The line of the list that an array falls under, and its match; None if there is none."""
    lines = ((rule, re.fullmatch(pattern, one.path)) for pattern, rule in (*LINES[view.id], *LINES[""]))
    return next((found for found in lines if found[1] is not None), None)


def problem(facts: Facts, one: Sent) -> str:
    """What is wrong with an array; empty if it is declared and right."""
    found = rule_of(facts.view, one)
    if found is None:
        return f"{one.path}: {one.values.size} numbers that nobody has declared"
    rule, match = found
    if rule is None:
        return ""
    expected = np.asarray(rule(facts, one, match), np.float64).ravel()
    if expected.shape != one.values.shape:
        return f"{one.path}: {one.values.size} numbers, not {expected.size}"
    size = np.abs(expected[np.isfinite(expected)]).max(initial=1e-6)
    if not np.allclose(one.values, expected, rtol=1e-4, atol=1e-5 * size, equal_nan=True):
        return f"{one.path}: {one.values[:4]}, not {expected[:4]}"
    return ""


def problems(view: Any, arrays: list[Sent]) -> list[str]:
    facts = Facts(view)
    facts.all = arrays
    return [said for one in arrays if (said := problem(facts, one))]


@pytest.mark.parametrize("family", first(2, FAMILIES))
@pytest.mark.parametrize("kind", VIEWS)
def test_every_array_that_goes_to_the_browser_is_what_the_run_says(kind: type[View], family: str) -> None:
    view = built(kind, family)
    arrays = sent(view)
    assert len(arrays) > 5
    assert problems(view, arrays) == []
    view.close()


@pytest.mark.parametrize("kind", VIEWS)
def test_one_wrong_number_in_any_array_is_found(kind: type[View]) -> None:
    """The check above would be worth nothing if it let a wrong number pass: each array in turn gets one."""
    view = built(kind, "llama")
    facts = Facts(view)
    facts.all = sent(view)
    checked: set[str] = set()
    for one in facts.all:
        finite = np.flatnonzero(np.isfinite(one.values))
        if one.path in checked or not finite.size or rule_of(view, one)[0] is None:
            continue
        checked.add(one.path)
        right = one.values
        one.values = right.copy()
        one.values[finite[-1]] += 0.01 * max(1.0, np.abs(right[finite]).max())
        assert problem(facts, one), f"a wrong number in {one.path} went unnoticed"
        one.values = right
    assert len(checked) > 3
    view.close()


def test_an_array_that_nobody_declared_is_found() -> None:
    view: Any = built(SoftmaxView, "llama")
    view.__panel__()
    view.pictures["surprisal"].plot.object.renderers[0].data_source.data["guess"] = np.zeros(11)
    found = problems(view, sent(view))
    assert found == ["surprisal/Quad.guess: 11 numbers that nobody has declared"]
    view.close()
