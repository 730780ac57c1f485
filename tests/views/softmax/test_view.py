"""The softmax view: every number against the trace's logits, and nothing left out of the sum."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import txpanel
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.toolkit.bars import CLEAR
from txpanel.views.distribution import others_name, token_names
from txpanel.views.softmax import data as data
from txpanel.views.softmax import view as view_module
from txpanel.views.softmax.probabilities import ALL, OTHERS
from txpanel.views.softmax.view import SoftmaxView

FAMILIES = ("gpt2", "llama", "gemma2", "gpt_neox", "gptj", "granite")


@pytest.fixture(params=FAMILIES)
def view(request: pytest.FixtureRequest, tiny: Callable[[str], LanguageModel]) -> Any:
    made = SoftmaxView(ModelState(model=tiny(request.param), text="the cat sat"))
    made.__panel__()
    yield made
    made.close()


def test_each_step_is_torchs_softmax_over_all_tokens(view: SoftmaxView) -> None:
    logits = view.state.trace.tensor("logits")
    found = view.found
    assert found is not None
    np.testing.assert_array_equal(found.logits, logits.numpy())
    expected = torch.softmax(logits.double(), -1).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-12)
    assert found.max == logits.max().item()
    assert np.log(found.sum) + found.max == pytest.approx(torch.logsumexp(logits.double(), -1).item())
    assert found.entropy == pytest.approx(-(expected * np.log2(expected)).sum())


def test_the_rows_and_the_others_add_up_to_one(view: SoftmaxView) -> None:
    rows, others = view.table.rows, view.table.others
    assert len(rows) == 20
    assert [row["rank"] for row in rows] == list(range(20))
    assert sum(row["p"] for row in rows) + others["p"] == pytest.approx(1, abs=1e-12)
    assert sum(row["power"] for row in rows) + others["power"] == pytest.approx(view.table.total["sum"])
    assert others["label"].startswith(f"{len(view.state.trace.logits) - 20:,}")
    probabilities = torch.softmax(view.state.trace.tensor("logits").double(), -1).numpy()
    for row in rows:
        assert row["p"] == pytest.approx(probabilities[row["id"]], rel=1e-12)
        assert row["logit"] == view.state.trace.tensor("logits")[row["id"]].item()


def test_the_histogram_counts_every_token_and_all_probability(view: SoftmaxView) -> None:
    shown = view.mirror.histogram
    assert shown is not None
    assert shown.counts.sum() == len(view.state.trace.logits)
    assert shown.mass.sum() == pytest.approx(1)
    half = len(shown.counts)
    np.testing.assert_allclose(view.mirror.source.data["top"][:half], shown.counts / shown.counts.sum())
    np.testing.assert_allclose(view.mirror.source.data["bottom"][half:], -shown.mass)


def test_the_curve_goes_through_real_logits_from_first_to_last(view: SoftmaxView) -> None:
    ranks, logits = view.ranked.source.data["rank"], view.ranked.source.data["logit"]
    ordered = np.sort(view.state.trace.tensor("logits").numpy())[::-1]
    np.testing.assert_array_equal(logits, ordered[np.asarray(ranks, int) - 1])
    assert ranks[0] == 1
    assert ranks[-1] == len(ordered)


def test_surprisal_is_what_the_trace_says_and_a_click_goes_there(view: SoftmaxView) -> None:
    trace = view.state.trace
    bits = trace.surprisal()
    np.testing.assert_array_equal(view.surprisal.source.data["top"], np.nan_to_num(bits))
    view._go(4)
    assert view.at == 3
    assert view.found is not None
    np.testing.assert_array_equal(view.found.logits, trace.logits_at(3).values)
    token = int(trace.tokens.ids[4])
    assert -np.log2(view.found.probabilities[token]) == pytest.approx(bits[4], abs=1e-4)
    assert (view.state.question.name, dict(view.state.question.index)) == ("surprisal.4", {})
    assert trace.why("surprisal.4").value == pytest.approx(bits[4], abs=1e-4)
    assert view.state.query == 3  # the flow and the bar go along
    view.state.focus(query=1)
    assert view.at == 1
    view.state.text = "another"
    assert view.at == view.state.query
    view.state.focus(query=6)
    assert view.position == -1


def test_any_token_can_be_found(nano: LanguageModel) -> None:
    view = SoftmaxView(ModelState(model=nano, text=nano.tokens([0, 1]).strings[0] or "a"))
    view.__panel__()
    assert view.found is not None
    name = data.vocabulary(nano)[-1]
    view.wanted = name
    marked = [row for row in view.table.rows if row["mark"]]
    assert any(row["token"] == name for row in marked)
    assert all(view.found.ranks[row["id"]] == row["rank"] for row in marked)
    view.wanted = "no such token at all"
    assert not [row for row in view.table.rows if row["mark"]]
    assert view.answer.paragraphs
    view.close()


def test_a_clicked_logit_is_asked_for(tiny: Callable[[str], LanguageModel]) -> None:
    view = SoftmaxView(ModelState(model=tiny("llama"), text="the cat"))
    view.__panel__()
    best = view.table.rows[0]["id"]
    view.table._handle_msg({"id": best, "tensor": "logits"})
    question = view.state.question
    assert (question.name, dict(question.index)) == ("logits", {"vocab": best})
    assert view.state.trace.why(question.name, **question.index).check.ok
    view.table.others = {}
    view.table._handle_msg({"id": OTHERS, "tensor": "probs"})  # there are none
    for nonsense in (
        {"id": OTHERS, "tensor": "logits"},
        {"id": ALL, "tensor": "tokens"},
        {"id": [1], "tensor": "logits"},
        {"id": -5, "tensor": "logits"},
        {"id": best, "tensor": "tokens"},
        {"id": best},
        "nonsense",
    ):
        view.table._handle_msg(nonsense)
        view.facts._handle_msg(nonsense)
    assert view.state.question is question
    view.close()


def test_numbers_after_any_token_are_asked_for_and_are_those_on_screen(view: SoftmaxView) -> None:
    state, trace, last = view.state, view.state.trace, len(view.state.trace.tokens.ids) - 1
    for at in (last, 2):
        state.focus(query=at)
        pre = "" if at == last else f"lens.{trace.anatomy.n_layers}.{at}."
        row, found = view.table.rows[3], view.found
        assert found is not None
        shown = {"logits": row["logit"], "probs.shifted": row["shifted"], "probs.exp": row["power"], "probs": row["p"]}
        for own, value in shown.items():
            view.table._handle_msg({"id": row["id"], "tensor": own})
            assert (state.question.name, dict(state.question.index)) == (pre + own, {"vocab": row["id"]})
            assert trace.why(state.question.name, **state.question.index).value == pytest.approx(value, rel=1e-5)
            assert [row["id"], own] in view.table.lights
        for own, value in (("probs", view.table.others["p"]), ("probs.exp", view.table.others["power"])):
            view.table._handle_msg({"id": OTHERS, "tensor": own})
            assert state.question.name == f"{pre}{own}.others.20"
            assert trace.why(state.question.name).value == pytest.approx(value, rel=1e-5)
            assert [OTHERS, own] in view.table.lights
            assert not {one["id"] for one in view.table.rows} & {token for token, _own in view.table.lights}
        view.table._handle_msg({"id": ALL, "tensor": "probs.sum"})
        assert state.question.name == f"{pre}probs.sum"
        assert [ALL, "probs.sum"] in view.table.lights
        facts = {"probs.max": found.max, "probs.sum": found.sum, "probs.entropy": found.entropy}
        for own, value in facts.items():
            view.facts._handle_msg({"tensor": own})
            assert state.question.name == pre + own
            assert trace.why(pre + own).value == pytest.approx(value, rel=1e-4)
            assert own in view.facts.lights
        view.facts._handle_msg({"tensor": "probs"})
        assert dict(state.question.index) == {"vocab": found.largest}
        view.ranked._tapped(SimpleNamespace(x=3.2, y=0.0), view._ask)
        assert (state.question.name, state.question.index["vocab"]) == (pre + "logits", found.order[2])
        shown_bins = view.mirror.histogram
        assert shown_bins is not None
        for place in (int(shown_bins.counts.argmax()), 0, 47):
            middle = (shown_bins.edges[place] + shown_bins.edges[place + 1]) / 2
            view.mirror._tapped(SimpleNamespace(x=middle, y=0.0), view._ask_bin)
            assert (state.question.name, dict(state.question.index)) == (f"{pre}probs.bins", {"bin": place})
            why = trace.why(f"{pre}probs.bins", bin=place)
            assert why.value == pytest.approx(shown_bins.mass[place], rel=1e-5, abs=1e-12)
            assert len(why.terms) == shown_bins.counts[place]
            framed = [i for i, line in enumerate(view.mirror.source.data["line"]) if line != CLEAR]
            assert framed == [place, 48 + place]
            largest = [term.sources[0].index["vocab"] for term in why.terms[:8]]
            listed = {row["id"] for row in view.table.rows}
            assert {token for token, _own in view.table.lights} & listed == set(largest) & listed
    state.focus(query=1)
    assert view.table.lights == view.facts.lights == view.mirror.lit == []
    assert set(view.mirror.source.data["line"]) == {CLEAR}


def test_tokens_that_were_searched_are_left_out_of_the_others(view: SoftmaxView) -> None:
    assert view.found is not None
    rare = int(view.found.order[200])
    view.wanted = str(rare)
    view.table._handle_msg({"id": OTHERS, "tensor": "probs"})
    assert view.state.question.name.startswith("probs.others.20.")
    assert str(rare) in view.state.question.name.split(".")
    assert view.state.trace.why(view.state.question.name).value == pytest.approx(view.table.others["p"], rel=1e-5)
    again = others_name(view.found.order, [row["id"] for row in view.table.rows])
    assert view.state.question.name == f"probs.{again}"
    assert others_name(np.arange(5), [0, 1, 3]) == "others.2.3"
    assert others_name(np.arange(3), [2, 1, 0]) == "others.3"


def test_a_saved_run_without_its_model(tiny: Callable[[str], LanguageModel], tmp_path: Any) -> None:
    saved = txpanel.open_trace(tiny("llama").trace("the cat").save(tmp_path / "run.safetensors"))
    view = SoftmaxView(ModelState(trace=saved))
    view.__panel__()
    assert len(view.table.rows) == 20
    view.wanted = "cat"
    assert view.answer.paragraphs
    view.close()


def test_tables_hold_everything(tiny: Callable[[str], LanguageModel]) -> None:
    view = SoftmaxView(ModelState(model=tiny("gpt2"), text="the cat"))
    view.__panel__()
    rows = {name: len(list(column.tools._data().rows)) for name, column in view.pictures.items()}
    points = len(view.ranked.source.data["rank"])
    assert rows == {"probabilities": 300, "mirror": 48, "ranked": points, "surprisal": 7}
    view.close()


@pytest.mark.real
def test_smollm2_says_make(smollm2: LanguageModel) -> None:
    view = SoftmaxView(ModelState(model=smollm2, text="Data visualization empowers users to"))
    view.__panel__()
    assert view.table.rows[0]["token"] == " make"
    assert view.table.rows[0]["p"] == pytest.approx(0.1197, abs=5e-5)
    assert data.search(view.state.trace, "make")[0] == view.table.rows[0]["id"] or " make" in token_names(
        view.state.trace, data.search(view.state.trace, "make")
    )
    view.close()


def test_surprisal_is_computed_when_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[[str], LanguageModel]
) -> None:
    rest: list[Any] = []
    monkeypatch.setattr(view_module, "one_by_one", lambda _column, builders, _said, _guard: rest.extend(builders))
    state = ModelState(model=tiny("llama"), text="the cat sat on")
    view = SoftmaxView(state)
    view.__panel__()
    assert view.of_text is None
    assert view._found_bits[0] == 0
    rest[0]()
    assert view._found_bits[0] == state.trace.uid
