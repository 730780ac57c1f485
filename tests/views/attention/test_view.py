"""The attention view without a browser: what its data sources hold, what a click does, what an option says."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import panel as pn
import pytest
from bokeh.models import GlyphRenderer

from tests import families
from tests.sweeping import first
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.session.worker import Worker
from txpanel.views.attention import all_heads, mosaic
from txpanel.views.attention.data import WINDOW, stage, stages
from txpanel.views.attention.view import AttentionView

FAMILIES = ("gpt2", "llama", "gemma2", "gemma3_text", "gpt_neox", "gptj", "bloom", "gpt_oss")


@pytest.fixture
def build(tiny: Callable[[str], LanguageModel]) -> Iterator[Callable[..., AttentionView]]:
    views: list[AttentionView] = []

    def make(family: str = "llama", text: str = "the cat sat", **params: Any) -> AttentionView:
        view = AttentionView(ModelState(model=tiny(family), text=text, **params))
        view.__panel__()
        views.append(view)
        return view

    yield make
    for view in views:
        view.close()


def image(heat: Any) -> np.ndarray:
    return np.asarray(heat.source.data["image"][0])


@pytest.mark.parametrize("family", first(3, FAMILIES))
def test_every_picture_holds_the_numbers_of_the_trace(build: Callable[..., AttentionView], family: str) -> None:
    view = build(family)
    state = view.state
    for layer, head in ((0, 0), (1, 3), (2, 1)):
        state.focus(layer=layer, head=head)
        trace = state.trace
        assert [part for part in view.maps.heats if part in stages(trace, layer)]
        for part in stages(trace, layer):
            np.testing.assert_array_equal(image(view.maps.heats[part]), stage(trace, layer, head, part))
            assert image(view.maps.heats[part]).dtype == np.float32
        for vectors in (view.qkv, view.z):
            for part, (at, values) in vectors.values.items():
                np.testing.assert_array_equal(
                    image(vectors.heats[part]), trace.tensor(f"blocks.{layer}.{part}")[at].numpy()
                )
                assert image(vectors.heats[part]).shape == values.shape
        for n, (top, left) in enumerate(view.all_heads.mosaic.corners):
            tile = image(view.all_heads.heat)[
                top : top + view.all_heads.mosaic.side, left : left + view.all_heads.mosaic.side
            ]
            np.testing.assert_array_equal(tile, stage(trace, layer, n, "pattern"))
        row = stage(trace, layer, head, "pattern")[state.query]
        np.testing.assert_allclose(view.sides.look_at.source.data["value"], row[np.isfinite(row)], rtol=1e-6)
        column = stage(trace, layer, head, "pattern")[:, state.key]
        np.testing.assert_allclose(view.sides.looked_at.source.data["value"], column[np.isfinite(column)], rtol=1e-6)
        np.testing.assert_allclose(
            view.shares.bars.source.data["value"],
            np.linalg.norm(trace.tensor(f"blocks.{layer}.result")[:, state.query].double().numpy(), axis=-1),
            rtol=1e-4,
        )


def test_a_legend_has_the_range_of_its_own_picture(build: Callable[..., AttentionView]) -> None:
    view = build("gpt2")
    for part, heat in view.maps.heats.items():
        mapper = heat.renderer.glyph.color_mapper
        assert (mapper.low, mapper.high) == (heat.scale.low, heat.scale.high)
        ticks = view.maps.legend[part].scale["ticks"]
        assert (ticks[0], ticks[-1]) == (heat.scale.low, heat.scale.high)
        if part != "pattern":
            assert heat.scale.high == pytest.approx(np.nanmax(np.abs(image(heat))))


def test_a_click_on_a_cell_moves_the_focus_and_asks_why(build: Callable[..., AttentionView]) -> None:
    view = build(head=2, layer=1)
    state = view.state
    heat = view.maps.heats["pattern"]
    heat._tapped(SimpleNamespace(x=1.3, y=3.8), lambda q, k: view.maps._tap("pattern", q, k))
    assert (state.query, state.key) == (4, 1)
    assert (state.question.name, dict(state.question.index)) == ("blocks.1.pattern", {"head": 2, "query": 4, "key": 1})
    assert state.trace.why(state.question.name, **state.question.index).check.ok
    assert dict(view.maps.chosen.data) == {"query": [4], "key": [1]}
    view.qkv._tap("k", 2, 5)
    assert (state.question.name, dict(state.question.index)) == ("blocks.1.k", {"kv_head": 1, "token": 2, "dim": 5})
    assert state.trace.why(state.question.name, **state.question.index).check.ok
    heat._tapped(SimpleNamespace(x=99.0, y=0.0), lambda q, k: pytest.fail("outside"))


def test_a_click_on_a_thumbnail_chooses_the_head(build: Callable[..., AttentionView]) -> None:
    view = build()
    top, left = view.all_heads.mosaic.corners[3]
    view.all_heads._tap(top + 1, left + 1)
    assert view.state.head == 3
    assert view.all_heads.boxes.data["width"].index(2.5) == 3
    assert view.state.question is None  # that was a step, not a question
    for row, column in ((1, 1), (4, 2), (0, 3)):  # the last one is ahead: nothing is there
        view.all_heads._tap(top + row, left + column)
    question = view.state.question
    assert (question.name, dict(question.index)) == ("blocks.0.pattern", {"head": 3, "query": 4, "key": 2})
    value = view.state.trace.why(question.name, **question.index).value
    assert value == pytest.approx(image(view.all_heads.heat)[top + 4, left + 2], rel=1e-5)
    lit = view.all_heads.heat.lit.data
    assert (top + 4, left + 2) in zip(lit["y"], lit["x"], strict=True)


def test_a_head_change_builds_nothing_new(build: Callable[..., AttentionView]) -> None:
    view = build()
    before = {part: id(heat.figure) for part, heat in view.maps.heats.items()}
    counted = len([r for heat in view.maps.heats.values() for r in heat.figure.select(GlyphRenderer)])
    for head in (1, 2, 3, 0):
        view.state.focus(head=head)
    assert {part: id(heat.figure) for part, heat in view.maps.heats.items()} == before
    assert len([r for heat in view.maps.heats.values() for r in heat.figure.select(GlyphRenderer)]) == counted


def test_options_say_that_the_picture_is_not_what_the_model_used(build: Callable[..., AttentionView]) -> None:
    view = build("gpt2")
    heading = view.maps.pictures["pattern"].heading
    plain = image(view.maps.heats["pattern"]).copy()
    view.options.value = ["hide_sink"]
    assert view.hide_sink
    shown = image(view.maps.heats["pattern"])
    assert np.isnan(shown[:, 0]).all()
    np.testing.assert_allclose(np.nansum(shown[1:], axis=1), 1, rtol=1e-5)
    assert any(
        "not the weights that the model used" in text for paragraph in heading.paragraphs for _kind, text in paragraph
    )
    view.hide_sink, view.weigh = False, True
    np.testing.assert_allclose(image(view.maps.heats["pattern"]), plain * view.look.norms[None], rtol=1e-5)
    assert view.maps.heats["pattern"].scale.kind == "magnitude"
    view.weigh = False
    np.testing.assert_array_equal(image(view.maps.heats["pattern"]), plain)


@pytest.mark.parametrize("tokens", [12, 14, 25])
def test_scores_mask_and_pattern_have_their_numbers_to_25_tokens(
    build: Callable[..., AttentionView], tokens: int
) -> None:
    view = build("llama", "abcdefgh" * 9)
    text = view.state.model.tokenizer.decode(view.state.trace.tokens.ids[:tokens].tolist())
    view.state.text = text
    n = len(view.state.trace.tokens.ids)
    for part in ("scores", "pattern"):
        heat = view.maps.heats[part]
        written = {
            (int(y), int(x)): said
            for source in heat.cells.sources
            for y, x, said in zip(source.data["y"], source.data["x"], source.data["whole"], strict=True)
        }
        assert len(written) == np.isfinite(image(heat)).sum() == n * (n + 1) // 2 or part == "scores"
        assert heat.figure.height >= 25 * n
        assert [axis.axis_label for axis in (heat.figure.yaxis[0], heat.figure.xaxis[0])] == [
            "who looks (query) ←",
            "at whom (key) →",
        ]
    assert n <= 12 or all(len(said) <= 4 for said in written.values())


def test_a_long_text_is_shown_through_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "llama", {**families.FAMILIES["llama"], "max_position_embeddings": 1200})
    model = families.tiny("llama")
    view = AttentionView(ModelState(model=model, text="ab cd " * 60))
    view.__panel__()
    state = view.state
    total = len(state.trace.tokens.ids)
    assert total > WINDOW
    heat = view.maps.heats["pattern"]
    assert image(heat).shape == (WINDOW, WINDOW)
    assert image(heat).nbytes <= 80_000
    rows, columns = view.maps.window
    pattern = stage(state.trace, state.layer, state.head, "pattern")
    np.testing.assert_array_equal(image(heat), pattern[rows.slice, columns.slice])
    assert rows == columns  # it opens at the diagonal, and some of what the mask forbids is in sight
    assert np.isfinite(np.diagonal(image(heat))).all()
    assert np.isnan(image(heat)[0, -1])
    assert (
        heat.scale.high == view.maps.legend["pattern"].scale["ticks"][-1] == np.nanmax(image(heat))
    )  # not 1: all are small
    said = view.maps.pictures["pattern"].heading.paragraphs[0][0][1]
    assert f"of {total}" in said
    state.focus(query=3, key=2)
    rows, columns = view.maps.window
    assert rows.start == 0
    np.testing.assert_array_equal(image(heat), pattern[rows.slice, columns.slice])
    shown = view.maps.values["overview"]
    for row, column in ((WINDOW - 1, 0), (40, 17), (77, 77)):
        view.maps._tap("overview", row, column)
        question = state.question
        assert (state.query, state.key) == (question.index["query"], question.index["key"])
        assert state.trace.why(question.name, **question.index).value == pytest.approx(shown[row, column], rel=1e-5)
        lit = view.maps.heats["overview"].lit.data
        assert (row, column) in zip(lit["y"], lit["x"], strict=True)
    assert state.query < 300
    view.maps._tap("overview", WINDOW - 1, 0)
    assert state.query > 300
    assert view.maps.window[1].start <= state.key < view.maps.window[1].stop  # somebody has chosen it
    view.maps._tap("overview", 0, 9)  # ahead: nothing is there
    assert state.query > 300
    view.close()


def test_one_token_and_no_text(build: Callable[..., AttentionView], tiny: Callable[[str], LanguageModel]) -> None:
    view = build(text="a")
    assert image(view.maps.heats["pattern"]).tolist() == [[1.0]]
    empty = AttentionView(ModelState(model=tiny("llama")))
    assert isinstance(empty.__panel__(), pn.Column)
    assert empty.empty.visible
    assert not empty.cards.visible
    empty.state.text = "now there is one"
    assert empty.cards.visible
    empty.close()


def test_hostile_tokens_stay_text(build: Callable[..., AttentionView]) -> None:
    view = build(text="<b>x</b><script>")
    labels = view.maps.heats["pattern"].figure.yaxis[0].major_label_overrides.values()
    assert "".join(labels).startswith("<b>")
    for tool in view.maps.heats["pattern"].figure.tools:
        for _name, template in getattr(tool, "tooltips", None) or []:
            assert "safe" not in template


def test_tables_hold_the_whole_matrix(build: Callable[..., AttentionView]) -> None:
    view = build()
    table = view.maps.table("scores")
    rows = [list(row) for row in table.rows]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], np.float32), stage(view.state.trace, 0, 0, "scores"))
    assert len([list(row) for row in view.all_heads.table().rows]) == 4
    assert [row[2] for row in view.sides.table("row").rows]
    assert len(list(view.shares.table().rows)) == 4


def test_a_closed_view_is_freed(tiny: Callable[[str], LanguageModel]) -> None:
    state = ModelState(model=tiny("gpt2"), text="the cat")
    view = AttentionView(state)
    view.__panel__()
    ref = weakref.ref(view)
    view.close()
    del view
    gc.collect()
    assert ref() is None


def test_the_heads_of_a_long_text_are_worked_out_beside_the_page(
    tiny: Callable[[str], LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mosaic of another block is never shown meanwhile, and a look that is over is not shown at all."""
    waiting: list[Callable[[], object]] = []
    monkeypatch.setattr(all_heads, "MANY", 0)
    monkeypatch.setattr(all_heads, "background", lambda **_more: Worker(waiting.append))
    state = ModelState(model=tiny("gpt2"), text="A, B, C, A, B, C")
    view = AttentionView(state)
    view.__panel__()
    shown = view.all_heads
    assert shown is not None
    assert shown.heads is None
    assert not shown.picture.visible
    state.layer = 1
    shown._worker.wait(10)
    for result in waiting:
        result()
    assert shown.picture.visible
    assert shown.heads is not None
    np.testing.assert_array_equal(shown.heads.maps, mosaic.heads(state.trace, 1).maps)
    state.layer = 2
    assert (shown.heads, shown.picture.visible) == (None, False)
    view.close()
    shown._worker.wait(10)
    for result in waiting[1:]:
        result()
    assert shown.heads is None
