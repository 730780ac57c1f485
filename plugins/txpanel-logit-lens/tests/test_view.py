"""The view: found by txpanel, fed with the lens's numbers, linked to the other views through the state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import txpanel
from txpanel.testing import check_view
from txpanel.views.discovery import discover
from txpanel_logit_lens import lens
from txpanel_logit_lens.view import SCALE, LogitLensView


def test_txpanel_finds_it() -> None:
    (record,) = [record for record in discover() if record.name == "logit-lens"]
    assert record.view_class is LogitLensView, record


def test_it_keeps_the_rules_for_views() -> None:
    check_view(LogitLensView)


def test_the_picture_holds_the_lens_s_numbers(model: Any) -> None:
    state = txpanel.ModelState(model=model, text="CBABBC=")
    view = LogitLensView(state)
    view.__panel__()
    found = lens(state.trace, state.query, top=5)
    np.testing.assert_array_equal(view.cells.data["p"], found.probabilities.ravel())
    np.testing.assert_array_equal(view.rise.data["p"], found.final)


def test_it_follows_the_position_and_leads_the_block(model: Any) -> None:
    state = txpanel.ModelState(model=model, text="CBABBC=")
    view = LogitLensView(state)
    view.__panel__()
    state.focus(query=1)
    np.testing.assert_array_equal(view.rise.data["p"], lens(state.trace, 1).final)
    view._tapped(SimpleNamespace(x=1.0, y=2.2))
    assert state.layer == 1
    found = lens(state.trace, 1)
    assert (state.question.name, dict(state.question.index)) == ("lens.2.1.probs", {"vocab": int(found.ids[2, 0])})
    why = state.trace.why(state.question.name, **state.question.index)
    assert why.check.ok
    assert why.value == pytest.approx(found.probabilities[2, 0], rel=1e-4)
    view._tapped(SimpleNamespace(x=3.0, y=0.1))  # the embedding is no block
    assert state.layer == 1
    assert state.question.name == "lens.0.1.probs"
    view._tapped(SimpleNamespace(x=9.0, y=0.1))
    assert state.question.index["vocab"] == found.ids[0, 2]


def test_the_colours_are_those_of_the_page(model: Any) -> None:
    view = LogitLensView(txpanel.ModelState(model=model, text="CBABBC="))
    view.__panel__()
    light = list(view.cells.data["fill"])
    view.dark = True
    assert view.cells.data["fill"] == [SCALE.themed(True).hex(p) for p in view.cells.data["p"]] != light


def test_a_blank_token_can_be_seen_and_blocks_count_from_one(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view = LogitLensView(txpanel.ModelState(model=model, text="CBABBC="))
    view.__panel__()
    assert list(dict.fromkeys(view.cells.data["depth"]))[:2] == ["embedding", "block 1"]
    monkeypatch.setattr(type(model), "tokens", lambda self, ids: SimpleNamespace(strings=[" "] * len(ids)))
    view.top = 2
    assert set(view.cells.data["token"]) == {"␣"}
