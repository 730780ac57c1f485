"""Every array of the attention view, compared with the trace it comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.views.attention import data, mosaic, written

FAMILIES = (
    "gpt2",
    "llama",
    "gemma2",
    "gemma3_text",
    "qwen3",
    "gpt_neox",
    "gptj",
    "bloom",
    "mistral",
    "gpt_oss",
    "granite",
)
TEXT = "the cat sat on the mat and the cat"


@pytest.fixture(params=FAMILIES)
def trace(request: pytest.FixtureRequest, tiny: Callable[[str], LanguageModel]) -> Any:
    return tiny(request.param).trace(TEXT)


def test_stages_are_the_recorded_ones_with_masked_cells_empty(trace: Any) -> None:
    for layer in range(trace.anatomy.n_layers):
        allowed = trace.tensor(f"blocks.{layer}.masked").numpy() > -1e30
        for part in data.stages(trace, layer):
            recorded = trace.tensor(f"blocks.{layer}.{part}").numpy()
            for head in range(trace.anatomy.blocks[layer].n_heads):
                shown = data.stage(trace, layer, head, part)
                assert shown.dtype == np.float32
                seen = allowed[head] if part in ("masked", "pattern") else np.ones_like(shown, bool)
                np.testing.assert_allclose(shown[seen], recorded[head][seen], rtol=1e-5, atol=1e-6)
                assert np.isnan(shown[~seen]).all()


def test_vectors_are_the_recorded_ones_and_shared_heads_are_shared(trace: Any) -> None:
    block = trace.anatomy.blocks[1]
    for head in range(block.n_heads):
        found = data.vectors(trace, 1, head)
        assert {"q", "k", "v", "z"} <= set(found)
        for part, (at, values) in found.items():
            np.testing.assert_array_equal(values, trace.tensor(f"blocks.1.{part}")[at].numpy())
            assert at == (
                head if part[0] in "qz" else head // (block.n_heads // trace.tensor(f"blocks.1.{part}").shape[0])
            )


def test_the_heads_shares_add_up_to_what_attention_writes(trace: Any) -> None:
    for layer in range(trace.anatomy.n_layers):
        for token in (0, len(trace.tokens.ids) - 1):
            shares = written.head_shares(trace, layer, token)
            assert shares is not None
            assert shares.agrees, shares.difference
            recorded = trace.tensor(shares.output)[token].double().numpy()
            bias = trace.operation(shares.output).map.offset()
            whole = shares.vectors.astype(np.float64).sum(0) + (0 if bias is None else bias.double().numpy())
            np.testing.assert_allclose(whole, recorded, atol=1e-4 * max(1, np.abs(recorded).max()))
            np.testing.assert_allclose(
                shares.norms,
                np.linalg.norm(trace.tensor(f"blocks.{layer}.result")[:, token].double().numpy(), axis=-1),
                rtol=1e-4,
            )
            if bias is None:
                assert shares.toward.sum() == pytest.approx(1, abs=1e-3)


def test_weighted_attention_is_the_length_of_what_arrives(trace: Any) -> None:
    norms = written.written_norms(trace, 1, 2)
    assert norms is not None
    pattern = data.stage(trace, 1, 2, "pattern")
    shown = written.weighted(pattern, norms)
    block = trace.anatomy.blocks[1]
    matrix = trace.operation("blocks.1.result").map.matrix().double().numpy()  # [width, heads * value_dim]
    size = matrix.shape[1] // block.n_heads
    v = trace.tensor("blocks.1.v")[written.kv_head(trace, 1, 2)].double().numpy()
    expected = np.linalg.norm(v @ matrix[:, 2 * size : 3 * size].T, axis=-1)
    np.testing.assert_allclose(norms, expected, rtol=1e-4)
    np.testing.assert_allclose(shown, pattern * expected[None], rtol=1e-4)


def test_without_the_first_token_each_row_adds_up_to_one_again() -> None:
    pattern = np.array([[1, np.nan, np.nan], [0.75, 0.25, np.nan], [0.5, 0.125, 0.375]], np.float32)
    shown = data.without_sink(pattern)
    assert np.isnan(shown[0]).all()
    assert np.isnan(shown[:, 0]).all()
    np.testing.assert_allclose(shown[1:, 1:], [[1, np.nan], [0.25, 0.75]])


def test_thumbnails_stand_where_the_mosaic_says(trace: Any) -> None:
    trace = trace.model.trace("the cat sat")
    found = mosaic.heads(trace, 0)
    block = trace.anatomy.blocks[0]
    assert found.step == 1
    picture = mosaic.mosaic(found.maps, block.group, across=2)
    for head, (top, left) in enumerate(picture.corners):
        tile = picture.values[top : top + picture.side, left : left + picture.side]
        np.testing.assert_array_equal(tile, data.stage(trace, 0, head, "pattern"))
        assert picture.at(top, left) == head
        assert picture.at(top + picture.side, left) == head  # its label
    inside = sum(picture.side**2 for _ in picture.corners)
    assert np.isfinite(picture.values).sum() <= inside


def test_long_patterns_are_max_pooled() -> None:
    pattern = np.tril(np.random.default_rng(0).random((300, 300)).astype(np.float32))
    small = data.overview(pattern)
    assert small.shape == (128, 128)
    assert small.nbytes <= 80_000
    assert np.nanmax(small) == pattern.max()
    assert small[127, 0] == pattern[297:, :2].max()


@pytest.mark.parametrize(
    ("total", "centre", "start", "stop"), [(5, 4, 0, 5), (300, 0, 0, 128), (300, 299, 172, 300), (300, 150, 86, 214)]
)
def test_a_window_holds_its_centre(total: int, centre: int, start: int, stop: int) -> None:
    found = data.cut(total, centre)
    assert (found.start, found.stop) == (start, stop)
    assert found.start <= centre < found.stop
    assert found.whole == (total <= data.WINDOW)


def test_ranking_keeps_every_share() -> None:
    weights = np.array([0.5, 0.1, 0.05, 0.2, 0.15, np.nan], np.float32)
    whole = data.ranking(weights)
    assert whole.places == (0, 1, 2, 3, 4)
    assert whole.others == 0
    part = data.ranking(weights, most=3)
    assert part.places == (0, 3)
    assert part.others == 3
    assert part.values.sum() + part.rest == pytest.approx(1)


def test_nothing_is_invented_without_the_weights(tiny: Callable[[str], LanguageModel], tmp_path: Any) -> None:
    import txpanel

    saved = txpanel.open_trace(tiny("llama").trace(TEXT).save(tmp_path / "run.safetensors"))
    assert saved.model is None
    assert written.head_shares(saved, 0, 1) is None
    assert written.written_norms(saved, 0, 0) is None
    assert data.stages(saved, 0)
    assert np.isfinite(data.stage(saved, 0, 0, "pattern")).any()
