"""What the embedding view sends to the browser is the trace's, and the tables' own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from tests.families import tiny
from txpanel.session.state import ModelState
from txpanel.toolkit.vector_strips import VectorStrip, VectorStrips, pack, scale_of, strip_table
from txpanel.views.embedding.data import neighbours, pairs, pieces, rotation, slopes, table_row, together, visible
from txpanel.views.embedding.strips import lanes, strips
from txpanel.views.embedding.view import EmbeddingView

FAMILIES = ["gpt2", "llama", "gemma3_text", "gpt_neox", "gptj", "bloom", "opt-350m", "granite", "deepseek_v3", "mpt"]
TEXT = "the cat ä sat"


@pytest.fixture(scope="module", params=FAMILIES)
def trace(request: pytest.FixtureRequest) -> Any:
    return tiny(request.param).trace(TEXT)


def true_row(trace: Any, strip: VectorStrip) -> np.ndarray:
    """The row that a strip says it is, read from the trace or the weights."""
    value = trace.value(strip.tensor)
    where = tuple(strip.index[dim] if dim in strip.index else slice(None) for dim in trace.dims(strip.tensor))
    assert strip.axis in trace.dims(strip.tensor)
    assert strip.axis not in strip.index
    return np.asarray(value[where].float().numpy())


def test_every_strip_is_the_row_that_it_names(trace: Any) -> None:
    for position in (0, 5):
        for strip in (*strips(trace, position), *lanes(trace, position)):
            assert np.array_equal(strip.values, true_row(trace, strip)), strip.label


def test_the_last_strip_goes_into_block_0(trace: Any) -> None:
    made = strips(trace, 4)
    assert made[-1].strong
    assert np.array_equal(made[-1].values, trace.tensor("blocks.0.resid_pre")[4].numpy())


def test_the_table_row_is_the_models_own_embedding(trace: Any) -> None:
    token = int(trace.tokens.ids[3])
    name, row = table_row(trace.model, token)
    weight = trace.model.model.get_input_embeddings().weight
    assert np.array_equal(row, weight[token].detach().numpy())
    assert name in dict(trace.model.model.named_parameters(remove_duplicate=False))


def test_where_positions_are_learned_the_strips_add_up() -> None:
    trace = tiny("gpt2").trace(TEXT)
    token, learned, total = strips(trace, 5)
    assert np.array_equal(token.values + learned.values, total.values)
    assert [s.sign for s in (token, learned, total)] == ["", "+", "="]


def test_a_scaled_embedding_says_its_factor() -> None:
    trace = tiny("gemma3_text").trace(TEXT)
    row, scaled, start = strips(trace, 2)
    assert np.allclose(row.values * trace.anatomy.embed_scale, scaled.values)
    assert "5.657" in scaled.note
    assert np.array_equal(scaled.values, start.values)


def test_what_is_packed_for_the_browser_is_what_the_strips_hold(trace: Any) -> None:
    made = strips(trace, 2)
    rows, values = pack(made)
    assert values.dtype == np.float32
    for row, strip in zip(rows, made, strict=True):
        assert np.array_equal(values[row["start"] : row["start"] + row["length"]], strip.values)
    by_group = {strip.group: row["scale"] for row, strip in zip(rows, made, strict=True)}
    assert all(row["scale"] == by_group[strip.group] for row, strip in zip(rows, made, strict=True))


def test_colours_saturate_at_a_quantile_and_never_at_zero() -> None:
    assert scale_of([]) == 1.0 == scale_of([np.zeros(5, np.float32)])
    assert scale_of([np.array([0, 0, 3], np.float32)]) == pytest.approx(3, rel=0.02)
    assert scale_of([np.append(np.ones(1000), 500).astype(np.float32)]) == pytest.approx(1)


def test_rotation_turns_pairs_by_the_positions_angle(trace: Any) -> None:
    for part in ("q", "k"):
        found = rotation(trace, 1, 3, 6, part)
        block = trace.anatomy.blocks[1]
        if block.rotary is None:
            assert found is None
            continue
        assert found is not None
        assert np.allclose(np.hypot(*found.before.T), np.hypot(*found.after.T), rtol=1e-4)
        base = block.rotary.base
        wanted = 6 * base ** (-2 * np.arange(block.rotary.dims // 2) / block.rotary.dims)
        assert np.allclose(np.exp(1j * found.angle), np.exp(1j * wanted), atol=1e-3)
        whole = trace.tensor(f"blocks.1.{part}")[found.head, 6].numpy()
        assert np.array_equal(found.after, whole[found.after_at])


@pytest.mark.parametrize(
    ("layout", "before", "after"),
    [("half", [0, 2], [0, 2]), ("interleaved", [0, 1], [0, 1]), ("split", [0, 1], [0, 2])],
)
def test_pairs_lie_where_the_layout_says(layout: str, before: list[int], after: list[int]) -> None:
    first, last = pairs(4, layout, 3)
    assert first[0].tolist() == [i + 3 for i in before]
    assert last[0].tolist() == [i + 3 for i in after]


def test_alibi_slopes_are_the_published_ones() -> None:
    found = slopes(tiny("bloom").trace(TEXT), 1)
    assert found is not None
    assert np.allclose(found, [-(2.0 ** (-8 * (h + 1) / 4)) for h in range(4)], rtol=1e-4)
    assert slopes(tiny("gpt2").trace(TEXT), 1) is None
    assert slopes(tiny("bloom").trace("a"), 1) is None


def test_neighbours_are_the_rows_with_the_largest_cosine(trace: Any) -> None:
    token = int(trace.tokens.ids[0])
    found = neighbours(trace.model, token, k=5)
    assert found is not None
    table = trace.model.model.get_input_embeddings().weight.detach().double()
    cosines = torch.nn.functional.cosine_similarity(table, table[token][None])
    cosines[token] = -2
    best = cosines.topk(5)
    assert found.ids.tolist() == best.indices.tolist()
    assert np.allclose(found.cosines, best.values, atol=1e-5)
    assert token not in found.ids
    assert found.strings == [trace.model.tokens([int(i)]).strings[0] for i in found.ids]


def test_neighbours_stop_when_nobody_wants_them() -> None:
    stop = threading.Event()
    stop.set()
    assert neighbours(tiny("gpt2"), 5, stop=stop) is None


def test_pieces_show_bytes_and_never_half_a_character(trace: Any) -> None:
    made = pieces(trace)
    assert b"".join(bytes.fromhex(p["bytes"]) for p in made) == TEXT.encode()
    assert [p["id"] for p in made] == trace.tokens.ids.tolist()
    assert not any("\ufffd" in p["text"] for p in made)


def test_pieces_of_a_character_hang_together() -> None:
    sign = "👩\u200d🔬".encode()
    parts = [b"a", sign[:2], sign[2:3], sign[3:5], sign[5:7], sign[7:9], sign[9:], b"!", "é".encode()]
    assert together(parts) == [(1, 5), (5, 7)]  # the third piece ends one character and begins the next
    assert together([b"\xf0\x9f", b"\x91\xa9", b"\xe2\x80", b"\x8d"]) == [(0, 2), (2, 4)]
    assert together([b"\xf0", b"\x9f"]) == []  # never whole: no character is claimed
    assert visible("👩\u200d🔬\ufe0f") == "👩⟨ZWJ⟩🔬⟨VS16⟩"
    model = tiny("gpt2")
    made = pieces(model.trace("x👩\u200d🔬"))
    of = [one["of"] for one in made if "of" in one]
    assert of
    assert "⟨ZWJ⟩" in "".join(whole for whole, part, _n in of if part == 1) + "".join(one["text"] for one in made)
    for whole, part, n in of:
        assert 1 <= part <= n
        assert "\ufffd" not in whole


def test_the_strips_table_has_every_number(trace: Any) -> None:
    made = strips(trace, 1)
    table = strip_table(made)
    rows = list(table.rows)
    for column, strip in enumerate(made, 1):
        assert [row[column] for row in rows][: len(strip.values)] == strip.values.tolist()


def test_a_slope_is_asked_for_as_the_penalty_of_one_step_back() -> None:
    state = ModelState(model=tiny("bloom"), text=TEXT)
    view = EmbeddingView(state)
    view.__panel__()
    state.focus(layer=1)
    view._ask_slope(2)
    last = len(state.trace.tokens.ids) - 1
    assert state.question is not None
    assert (state.question.name, state.question.index["head"]) == ("blocks.1.alibi", 2)
    bias = state.trace.tensor("blocks.1.alibi")[2]
    asked = state.trace.why(state.question.name, **state.question.index).value
    assert asked - bias[-1, last].item() == pytest.approx(slopes(state.trace, 1)[2], rel=1e-5)
    view.close()


# -- the view -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_view_follows_token_and_model(family: str) -> None:
    state = ModelState(model=tiny(family), text=TEXT)
    view = EmbeddingView(state)
    view.__panel__()
    state.focus(query=4, layer=1, head=2)
    assert view._pieces.chosen == 4
    assert view._strips.strips[-1].index["token"] == 4
    assert np.array_equal(
        view._strips.values[-state.trace.anatomy.width :], state.trace.tensor("blocks.0.resid_pre")[4].numpy()
    )
    assert view._shown["rotary"].visible == (state.trace.anatomy.blocks[1].rotary is not None)
    assert view._shown["slopes"].visible == state.trace.anatomy.blocks[1].alibi
    assert np.asarray(view._near.source.data["value"]).tolist() == pytest.approx(
        neighbours(state.model, int(state.trace.tokens.ids[4])).cosines.tolist()
    )
    for shown in view._shown.values():
        assert shown.tools._answer_csv()["text"]
    view.close()


def test_dials_are_the_rotated_pairs_and_answer_a_click() -> None:
    state = ModelState(model=tiny("llama"), text=TEXT, layer=1, head=3, query=5)
    view = EmbeddingView(state)
    view.__panel__()
    found = rotation(state.trace, 1, 3, 5)
    assert found is not None
    assert [d["after"] for d in view._dials.dials] == found.after.tolist()
    view._dials._handle_msg({"at": view._dials.dials[1]["at"]})
    assert state.question is not None
    assert (state.question.name, dict(state.question.index)) == (
        "blocks.1.q",
        {"head": 3, "token": 5, "dim": 1},
    )
    view._dials._handle_msg({"at": 999})
    assert dict(state.question.index)["dim"] == 1


def test_a_click_on_a_strip_asks_why_and_the_place_lights_up() -> None:
    state = ModelState(model=tiny("gpt2"), text=TEXT)
    view = EmbeddingView(state)
    view.__panel__()
    view._strips._handle_msg({"row": 2, "index": 7})
    last = len(state.trace.tokens.ids) - 1
    assert state.question is not None
    assert (state.question.name, dict(state.question.index)) == (
        "blocks.0.resid_pre",
        {"token": last, "feature": 7},
    )
    assert view._strips.lights[2] == [7]
    assert view._strips.lights[1] == [7]
    for nonsense in ({"row": 99, "index": 0}, {"row": 0, "index": 10**6}, {}, {"row": "x", "index": 1}, None):
        view._strips._handle_msg(nonsense)
    assert dict(state.question.index) == {"token": last, "feature": 7}


def test_the_view_stands_before_anything_has_run() -> None:
    view = EmbeddingView(ModelState())
    view.__panel__()
    assert view._strips.rows == []


def test_long_texts_show_a_window_of_pieces_that_says_so() -> None:
    state = ModelState(model=tiny("llama"), text="ab " * 42)
    view = EmbeddingView(state)
    view.__panel__()
    assert len(view._pieces.pieces) <= 120
    assert str(len(state.trace.tokens.ids)) in view._pieces.window
    assert any(p["at"] == state.query for p in view._pieces.pieces)


def test_markup_in_the_text_stays_text() -> None:
    state = ModelState(model=tiny("gpt2"), text="<b>x</b>{0}")
    view = EmbeddingView(state)
    view.__panel__()
    state.focus(query=0)
    assert ("token", "<") in view._words.paragraphs[1]


def test_strips_component_packs_nothing_gracefully() -> None:
    component = VectorStrips()
    component.show([])
    assert component.rows == []
    assert component.values.size == 0
