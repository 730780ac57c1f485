"""The card says what the trace says, for every family, down to the leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.families import tiny
from txpanel.session.state import ModelState
from txpanel.toolkit.explained import SHOWN, highlighted_cells
from txpanel.tracing.names import cell_name
from txpanel.views.why.data import card, exact, fed_index, product, short
from txpanel.views.why.titles import title
from txpanel.views.why.view import WhyCard

FAMILIES = [
    "gpt2",
    "llama",
    "gemma3_text",
    "gpt_neox",
    "gptj",
    "bloom",
    "mixtral",
    "gpt_oss",
    "deepseek_v3",
    "opt-350m",
    "granite",
]
TEXT = "the cat sat on a mat"


@pytest.fixture(scope="module", params=FAMILIES)
def trace(request: pytest.FixtureRequest) -> Any:
    return tiny(request.param).trace(TEXT)


def random_cell(trace: Any, name: str, rng: np.random.Generator) -> dict[str, int]:
    value = trace.tensor(name)
    return {dim: int(rng.integers(size)) for dim, size in zip(trace.dims(name), value.shape, strict=True)}


def test_every_number_is_called_something_in_words(trace: Any) -> None:
    """The code stands in the second line, with its cell."""
    derived = [
        "probs.entropy",
        "probs.exp.others.3",
        "surprisal.2",
        "lens.1.2.probs",
        "lens.1.ln_final.scale",
        "blocks.0.resid_pre.norm",
    ]
    for name in [*trace.names(), *derived]:
        assert title(trace, name), name
    rng = np.random.default_rng(0)
    cell = random_cell(trace, "blocks.1.resid_post", rng)
    made = card(trace, "blocks.1.resid_post", cell)[0]
    assert made["title"] == "Residual stream after the block"
    assert made["code"] == f"blocks.1.resid_post [token {cell['token']}, feature {cell['feature']}]"
    assert title(trace, "lens.0.1.logits") == "Logit lens: Logit"
    assert title(trace, f"lens.{trace.anatomy.n_layers}.1.logits") == "Logit"


def test_two_hundred_random_cells_add_up_down_to_the_leaves(trace: Any) -> None:
    rng = np.random.default_rng(7)
    names = trace.names()
    steps = 0
    for name in rng.choice(names, 200 // len(FAMILIES) + 1):
        cell, at = random_cell(trace, str(name), rng), str(name)
        for _depth in range(400):
            made, _vectors, found = card(trace, at, cell)
            assert found is not None, made["text"]
            assert not made["terms"] or made["check"]["ok"], (at, cell, made["check"])
            assert made["say"]
            assert made["exact"]
            steps += 1
            sources = [s for term in found.terms[:3] for s in term.sources]
            if not sources:
                break
            source = sources[int(rng.integers(len(sources)))]
            at, cell = source.name, source.index
        else:
            pytest.fail(f"{name} never came to a leaf")
        assert not made["terms"], (at, cell)
        assert made["text"]
    assert steps > 40


def test_a_card_lists_the_largest_operands_and_sums_the_rest(trace: Any) -> None:
    name = "blocks.1.attn_proj" if "blocks.1.attn_proj" in trace else "blocks.1.v"
    made, _vectors, found = card(trace, name, dict.fromkeys(trace.dims(name), 0))
    assert found is not None
    sizes = [abs(row["value"]) for row in made["terms"]]
    assert sizes == sorted(sizes, reverse=True)
    listed = math.fsum(row["value"] for row in made["terms"])
    rest = made["rest"]["value"] if made["rest"] else 0.0
    assert listed + rest == pytest.approx(found.value, rel=1e-4, abs=1e-5)
    assert made["rest"] is None or len(made["terms"]) == SHOWN


def test_a_product_is_its_row_times_its_column_in_order(trace: Any) -> None:
    cell = dict.fromkeys(trace.dims("blocks.0.v"), 1)
    made, vectors, found = card(trace, "blocks.0.v", cell, start=10)
    assert found is not None
    whole = product(found)
    assert whole is not None
    assert made["product"]["row"]["start"] == 10
    assert made["product"]["column"]["start"] == 10 + len(vectors[0])
    row, column = (v.astype(np.float64) for v in vectors)
    assert (whole["bias"] or 0.0) + whole["factor"] * float(row @ column) == pytest.approx(
        found.value, rel=1e-4, abs=1e-4
    )
    source = trace.tensor(whole["names"][0])
    for i, cells in enumerate(whole["cells"]):
        assert float(source[tuple(cells[0].index.values())]) == row[i]
        assert cells[0].index[whole["axis"]] == i
        assert float(trace.value(cells[1].name)[tuple(cells[1].index.values())]) == column[i]


def test_scores_carry_their_scaling_into_the_running_sum(trace: Any) -> None:
    found = trace.why("blocks.1.scores", head=1, query=4, key=2)
    whole = product(found)
    assert whole is not None
    total = whole["factor"] * float(whole["row"].astype(np.float64) @ whole["column"].astype(np.float64))
    assert total == pytest.approx(found.value, rel=1e-4, abs=1e-4)


def test_steps_that_are_no_product_have_none(trace: Any) -> None:
    assert product(trace.why("blocks.0.resid_post", token=1, feature=2)) is None
    assert product(trace.why("blocks.0.pattern", head=0, query=2, key=1)) is None


def test_what_a_number_feeds_can_be_asked_for_and_exists(trace: Any) -> None:
    derived = ("lens.1.ln_final", "lens.2.3.logits", "lens.3.2.probs", "ln_final", "blocks.1.attn_out")
    for name in ("embed", "blocks.0.v", "blocks.1.pattern", "blocks.1.resid_post", *(n for n in derived if n in trace)):
        cell = dict.fromkeys(trace.dims(name), 1)
        made, _vectors, found = card(trace, name, cell)
        assert found is not None
        assert [f["title"] for f in made["feeds"]] == list(found.feeds) != []
        for fed in found.feeds:
            there, _v, explained = card(trace, fed, fed_index(trace, fed, found.index, {"query": 3, "token": 3}))
            assert explained is not None, there["text"]


def test_a_card_says_of_which_token_and_layer_a_number_is(trace: Any) -> None:
    made, _vectors, found = card(trace, "lens.3.2.logits", {"vocab": 70})
    assert found is not None
    assert made["index"] == [["vocab", "token", "id 70", trace.model.tokens([70]).strings[0]]]
    assert made["text"].startswith("The model's own prediction after “e”.")
    made, _vectors, found = card(trace, "lens.1.2.probs", {"vocab": 70})
    assert made["text"].startswith("Logit lens: as if the model ended before block 2, after “e”.")
    own = card(trace, "probs", {"vocab": 70})[0]["text"]
    assert own.startswith("The model's own probability, before your settings."), "a bar beside it shows another one"
    assert made["totals"][1][0] == "computed directly"  # nothing of it was recorded
    assert card(trace, "surprisal.2", {})[0]["text"].startswith("The token “e” after “h”.")
    assert card(trace, "embed.70.71.cosine", {})[0]["text"].startswith("The rows of “")
    assert card(trace, "blocks.1.resid_pre", {"token": 1, "feature": 0})[0]["totals"][1][0] == "recorded in this run"
    assert short("lens.3.2.logits") == "logits"
    assert short("lens.3.ln_final.scale") == "ln_final.scale"


def test_a_question_that_makes_no_sense_is_answered_with_a_sentence(trace: Any) -> None:
    for name, cell in (
        ("blocks.0.nothing", {}),
        ("blocks.0.v", {"kv_head": 0, "token": 99, "dim": 0}),
        ("blocks.0.v", {"token": 0}),
    ):
        made, vectors, found = card(trace, name, cell)
        assert found is None
        assert not vectors
        assert made["text"].endswith(".")
        assert made["say"] == "–"


def test_cells_light_up_where_the_operands_come_from(trace: Any) -> None:
    state = ModelState(trace=trace)
    state.ask("blocks.0.resid_post", token=2, feature=5)
    cells = highlighted_cells(trace, state.question)
    assert cells[0] == ("blocks.0.resid_post", {"token": 2, "feature": 5})
    sources = trace.why("blocks.0.resid_post", token=2, feature=5).terms
    assert {name for name, _index in cells[1:]} == {s.name for term in sources for s in term.sources}
    assert highlighted_cells(None, state.question) == [] == highlighted_cells(trace, None)


def test_values_are_copied_with_all_their_digits() -> None:
    for value in (0.1, -3.0, 1e-9, 123456.79, 16777216.0):
        assert np.float32(exact(float(np.float32(value)))) == np.float32(value)
    assert cell_name("x", {"token": 1, "dim": 2}) == "x[1, 2]"
    assert short("blocks.3.ln1.scale") == "ln1.scale"
    assert short("model.layers.0.mlp.down_proj.weight") == "mlp.down_proj.weight"


# -- the view -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked() -> tuple[ModelState, WhyCard]:
    state = ModelState(model=tiny("gpt2"), text=TEXT)
    view = WhyCard(state)
    view.__panel__()
    return state, view


def test_the_card_follows_the_question_and_its_operands(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    assert view.cards.cards == []
    state.ask("blocks.0.mlp_out", token=3, feature=7)
    first = view.cards.cards[0]
    assert first["name"] == "blocks.0.mlp_out"
    assert not first["back"]
    view.cards._handle_msg({"do": "ask", "card": 0, "term": 0, "source": 0})
    assert state.question is not None
    assert state.question.name == "blocks.0.mlp_post"
    view.cards._handle_msg({"do": "ask", "card": 0, "term": 0, "source": 0})
    assert state.question.name == "blocks.0.mlp_pre"
    assert [crumb["label"] for crumb in view.cards.cards[0]["crumbs"]] == ["mlp_out", "mlp_post", "mlp_pre"]
    view.cards._handle_msg({"do": "back"})
    assert state.question.name == "blocks.0.mlp_post"
    assert view.cards.cards[0]["forward"]
    view.cards._handle_msg({"do": "forward"})
    assert state.question.name == "blocks.0.mlp_pre"
    assert not view.cards.cards[0]["forward"]
    view.cards._handle_msg({"do": "crumb", "card": 0, "steps": 2})
    assert state.question.name == "blocks.0.mlp_out"
    assert view.cards.cards[0]["forward"]
    assert not view.cards.cards[0]["back"]


def test_a_click_elsewhere_begins_a_new_path(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_out", token=3, feature=7)
    view.cards._handle_msg({"do": "ask", "card": 0, "term": 0, "source": 0})
    assert [crumb["label"] for crumb in view.cards.cards[0]["crumbs"]] == ["mlp_out", "mlp_post"]
    state.ask("blocks.1.pattern", head=1, query=3, key=2)  # as a picture does
    assert [crumb["label"] for crumb in view.cards.cards[0]["crumbs"]] == ["pattern"]
    view.cards._handle_msg({"do": "feed", "card": 0, "at": 0})  # where a number goes is no cause of it
    assert len(view.cards.cards[0]["crumbs"]) == 1
    view.cards._handle_msg({"do": "back"})
    view.cards._handle_msg({"do": "back"})
    assert [crumb["label"] for crumb in view.cards.cards[0]["crumbs"]] == ["mlp_out", "mlp_post"]


def test_a_cell_is_said_in_words_that_count_from_one(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.1.pattern", head=1, query=3, key=2)
    shown, strings = view.cards.cards[0], state.trace.tokens.strings
    assert (shown["name"], shown["block"]) == ("blocks.1.pattern", "block 2")
    assert shown["index"] == [
        ["head", "head", "2", ""],
        ["query", "query", "position 4", strings[3]],
        ["key", "key", "position 3", strings[2]],
    ]


def test_a_step_of_a_product_can_be_asked_for(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_pre", token=3, neuron=7)
    view.cards._handle_msg({"do": "cell", "card": 0, "part": "column", "index": 5})
    assert state.question is not None
    assert state.question.name.endswith("c_fc.weight")
    weight = dict(state.model.model.named_parameters())[state.question.name]
    assert np.float32(view.cards.cards[0]["exact"]) == np.float32(weight[tuple(state.question.index.values())].item())
    state.back()
    view.cards._handle_msg({"do": "cell", "card": 0, "part": "row", "index": 5})
    assert state.question.name == "blocks.0.ln2"
    assert dict(state.question.index) == {"token": 3, "feature": 5}


def test_two_cards_can_be_pinned_and_let_go(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    for feature in range(4):
        state.ask("blocks.0.resid_post", token=1, feature=feature)
        view.cards._handle_msg({"do": "pin"})
    assert len(state.pinned) == 2
    assert len(view.cards.cards) == 3
    assert [card["index"][1][2] for card in view.cards.cards] == ["3", "0", "1"]
    assert not view.cards.cards[0]["can_pin"]
    view.cards._handle_msg({"do": "unpin", "at": 0})
    assert [card["index"][1][2] for card in view.cards.cards] == ["3", "1"]


def test_more_operands_are_listed_when_somebody_asks(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_out", token=3, feature=7)
    before = len(view.cards.cards[0]["terms"])
    view.cards._handle_msg({"do": "more", "card": 0})
    assert len(view.cards.cards[0]["terms"]) == before + 20
    state.ask("blocks.0.mlp_out", token=3, feature=8)
    assert len(view.cards.cards[0]["terms"]) == before


def test_nonsense_from_the_browser_changes_nothing(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_out", token=3, feature=7)
    question = state.question
    nonsense: list[Any] = [
        "text",
        None,
        {"do": []},
        {"do": "ask"},
        {"do": "cell", "card": 7},
        {"do": "feed", "at": "x"},
    ]
    nonsense += [{"do": "ask", "term": 10**9, "source": 0, "card": 0}, {"do": "crumb", "steps": -5}]
    nonsense += [{"do": "unpin", "at": 99}, {"do": "cell", "card": 0, "index": float("nan"), "part": 3}]
    for data in nonsense:
        view.cards._handle_msg(data)
    assert state.question == question


def test_the_vectors_sent_are_those_of_the_trace(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_pre", token=3, neuron=7)
    sent, part = view.cards.vectors, view.cards.cards[0]["product"]
    row = torch.as_tensor(sent[part["row"]["start"] : part["row"]["start"] + part["length"]])
    assert sent.dtype == np.float32
    assert torch.equal(row, state.trace.tensor("blocks.0.ln2")[3])
    weight = dict(state.model.model.named_parameters())["transformer.h.0.mlp.c_fc.weight"]
    column = torch.as_tensor(sent[part["column"]["start"] : part["column"]["start"] + part["length"]])
    assert torch.equal(column, weight[:, 7])


def test_a_question_that_a_shorter_text_does_not_have_is_answered_in_words(asked: tuple[ModelState, WhyCard]) -> None:
    state, view = asked
    state.ask("blocks.0.mlp_out", token=18, feature=7)
    state.text = "the"
    assert all(not card["terms"] and card["text"] for card in view.cards.cards)
    view.close()
    assert view.state is None


def test_a_card_counts_blocks_from_one_and_says_where_an_operand_is_of_another(trace: Any) -> None:
    made, _vectors, _found = card(trace, "blocks.1.resid_pre", {"token": 1, "feature": 0})
    assert made["block"] == "block 2"
    assert card(trace, "embed", {"token": 1, "feature": 0})[0]["block"] == ""
    assert [row["label"] for row in made["terms"]] == ["resid_post of block 1"]
    assert made["text"] == "The same number: the block's input is the residual stream, unchanged."
    rows = card(trace, "blocks.1.resid_post", {"token": 1, "feature": 0})[0]["terms"]
    assert {row["label"] for row in rows} <= {"mlp_out", "resid_mid", "resid_pre", "attn_out", "ln2"}
