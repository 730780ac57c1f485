"""Each array that the flow sends to the browser, compared with the trace it is taken from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from txpanel.views.flow import data
from txpanel.views.flow.next_tokens import next_payload, odds_payload
from txpanel.views.flow.window import LANES, WINDOW, Window

TEXT = "the cat sat on the mat, the cat"
SHAPES = ["gpt2", "llama", "gemma3_text", "gpt_neox", "gptj", "mixtral", "olmo2", "bloom", "gpt_oss", "deepseek_v3"]
LONG = TEXT * 3


def windows(trace: Any) -> Window:
    total = len(trace.tokens.ids)
    return Window.around(total, total - 1)


def same(strip: dict[str, Any], trace: Any, window: Window) -> None:
    """A strip's bars are entries of the tensor that it names, in order, each the largest of its run."""
    tensor = trace.tensor(strip["name"]).float().numpy()
    for axis in ("head", "kv_head"):
        if axis in strip["at"]:
            tensor = tensor[strip["at"][axis]]
    if "slot" in strip["at"]:
        tensor = tensor[:, strip["at"]["slot"]]
    rows = tensor[window.rows]
    value, bars = strip["value"], strip["value"].shape[1]
    assert value.dtype == np.float32
    assert value.shape[0] == window.count
    assert strip["size"] == rows.shape[1]
    if not strip["index"].size:
        assert np.array_equal(value, rows)
        return
    assert np.array_equal(value, np.take_along_axis(rows, strip["index"].astype(np.int64), 1))
    edges = [b * strip["size"] // bars for b in range(bars + 1)]
    for b in range(bars):
        run = rows[:, edges[b] : edges[b + 1]]
        assert np.array_equal(np.abs(value[:, b]), np.abs(run).max(1))
        assert ((strip["index"][:, b] >= edges[b]) & (strip["index"][:, b] < edges[b + 1])).all()


def strips(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in payload.values() if isinstance(part, dict) and "scale" in part]


@pytest.fixture(params=SHAPES)
def trace(request: pytest.FixtureRequest, tiny: Callable[[str], Any]) -> Any:
    return tiny(request.param).trace(TEXT)


@pytest.mark.parametrize("text", [TEXT, LONG])
def test_every_strip_is_the_vector_it_names(trace: Any, text: str) -> None:
    trace = trace if text == TEXT else trace.model.trace(text)
    window = windows(trace)
    assert data.token_payload(trace, window)["exact"] == trace.tokens.exact
    found = strips(data.token_payload(trace, window))
    for layer in range(trace.anatomy.n_layers):
        found += strips(data.block_payload(trace, layer, window))
        found += strips(data.head_payload(trace, layer, trace.anatomy.blocks[layer].n_heads - 1, window))
    assert len(found) > 6 * trace.anatomy.n_layers
    for strip in found:
        same(strip, trace, window)


def masked(trace: Any, layer: int, head: int) -> np.ndarray:
    """The pattern, NaN where the recorded scores are minus infinity after the mask."""
    pattern, scores = (trace.head_map(layer, head, part) for part in ("pattern", "masked"))
    return np.where(np.asarray(scores) > -1e30, pattern, np.nan)


def test_norms_are_those_of_the_streams(trace: Any) -> None:
    window = windows(trace)
    for layer in range(trace.anatomy.n_layers):
        block = data.block_payload(trace, layer, window)
        for name, norms in block["norms"].items():
            expected = trace.tensor(f"blocks.{layer}.{name}").float().norm(dim=-1).numpy()[window.rows]
            np.testing.assert_allclose(norms, expected, rtol=1e-5)
        z = trace.tensor(f"blocks.{layer}.z").float().norm(dim=-1).numpy().T[window.rows]
        np.testing.assert_allclose(block["z_norm"], z, rtol=1e-5)


def test_a_heads_rows_are_whole(trace: Any) -> None:
    """Window, first token and the tokens between add up to the recorded row, wherever the window stands."""
    trace = trace.model.trace(LONG)
    total = len(trace.tokens.ids)
    assert total > LANES
    for start in (0, 1, 5, total - WINDOW):
        window = Window.around(total, 0, start)
        head = data.head_payload(trace, 1, 1, window)
        full = masked(trace, 1, 1)[window.rows]
        assert np.array_equal(head["pattern"], full[:, window.rows], equal_nan=True)
        assert np.array_equal(head["first"], full[:, 0] if start else np.zeros(window.count), equal_nan=True)
        seen = np.nansum([head["first"], head["earlier"], np.nansum(head["pattern"], 1)], axis=0)
        np.testing.assert_allclose(seen, np.nansum(full, 1), rtol=1e-5, atol=1e-6)


def test_what_a_sliding_window_leaves_out_is_empty(tiny: Callable[[str], Any]) -> None:
    """Block 0 of this Gemma looks back 4 tokens, block 1 at all: no weight 0 stands where there is no weight."""
    trace = tiny("gemma3_text").trace(LONG)
    total = len(trace.tokens.ids)
    places = np.arange(total)
    near = (places[:, None] >= places) & (places[:, None] - places < 4)
    window = Window.around(total, 0, 9)
    local, whole = (data.head_payload(trace, layer, 1, window) for layer in (0, 1))
    assert np.array_equal(np.isfinite(local["pattern"]), near[window.rows, window.rows])
    assert np.array_equal(np.isfinite(whole["pattern"]), np.tril(np.ones((window.count, window.count), bool)))
    assert np.isnan(local["first"]).all()
    assert np.isfinite(local["earlier"]).tolist() == [i < 3 for i in range(window.count)]
    assert np.isfinite(whole["first"]).all()
    small = data.layer_payload(trace, 0, 8)
    edges = [i * total // 8 for i in range(8)] + [total]
    pooled = [[near[a:b, c:d].any() for c, d in itertools.pairwise(edges)] for a, b in itertools.pairwise(edges)]
    assert np.array_equal(small["may"], np.array(pooled, np.uint8))


def test_small_maps_are_the_pattern_pooled_and_rounded(trace: Any) -> None:
    for side in (data.THUMB, 8):
        part = data.layer_payload(trace, 1, side)
        for head in range(trace.anatomy.blocks[1].n_heads):
            pattern = trace.head_map(1, head, "pattern")
            small = part["thumbs"][head]
            edges = [i * len(pattern) // len(small) for i in range(len(small))] + [len(pattern)]
            exact = [
                [pattern[a:b, c:d].max() for c, d in itertools.pairwise(edges)] for a, b in itertools.pairwise(edges)
            ]
            assert np.abs(small / 255 - np.array(exact)).max() <= 0.5 / 255 + 1e-6


def test_next_tokens_are_the_softmax_of_all_logits(trace: Any) -> None:
    last = len(trace.tokens.ids) - 1
    logits = trace.logits.values.astype(np.float64)
    probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    order = np.argsort(-logits)
    found = next_payload(trace, last, sampled=int(order[2]))
    np.testing.assert_allclose(found["probability"], probability[found["ids"]], rtol=1e-5)
    assert np.all(np.diff(found["probability"]) <= 0)
    assert found["probability"][0] == pytest.approx(probability.max())
    assert found["probability"].sum() + found["rest"] == pytest.approx(1.0, abs=1e-5)
    assert found["others"] + len(found["ids"]) == found["vocab"] == trace.anatomy.vocab
    assert found["sampled"] == 2
    rare = next_payload(trace, last, sampled=int(order[-1]))
    assert rare["ids"].tolist() == [*found["ids"][:-1].tolist(), order[-1]]
    assert rare["sampled"] == len(rare["ids"]) - 1
    assert rare["probability"].sum() + rare["rest"] == pytest.approx(1.0, abs=1e-5)


def test_writes_are_norms_of_one_token_and_gaps_are_no_numbers(trace: Any) -> None:
    norms = {1: data.write_norms(trace, 1)}
    sent = data.writes_payload(norms, trace.anatomy.n_layers, 3)
    for part in ("attn", "mlp"):
        expected = float(trace.tensor(f"blocks.1.{part}_out")[3].float().norm())
        assert sent[part][1] == pytest.approx(expected, rel=1e-5)
        assert np.isnan(np.delete(sent[part], 1)).all()


def test_shared_keys_and_values_are_those_of_the_heads_group(tiny: Callable[[str], Any]) -> None:
    trace = tiny("llama").trace(TEXT)
    window = windows(trace)
    block = trace.anatomy.blocks[0]
    assert block.n_kv_heads < block.n_heads
    for head in range(block.n_heads):
        sent = data.head_payload(trace, 0, head, window)
        assert sent["kv"] == head // (block.n_heads // block.n_kv_heads)
        assert sent["k"]["at"] == sent["v"]["at"] == {"kv_head": sent["kv"]}


def test_experts_are_those_the_router_chose(tiny: Callable[[str], Any]) -> None:
    trace = tiny("mixtral").trace(TEXT)
    sent = data.block_payload(trace, 1, windows(trace))
    assert np.array_equal(sent["experts"]["expert"], trace.tensor("blocks.1.expert_index").numpy())
    assert np.array_equal(sent["experts"]["weight"], trace.tensor("blocks.1.expert_weight").numpy())
    assert "mlp_post" not in sent
    assert [sent[f"mlp_post.{slot}"]["at"] for slot in range(2)] == [{"slot": 0}, {"slot": 1}]


def test_nothing_is_sent_as_a_list_of_numbers(trace: Any) -> None:
    window = windows(trace)
    parts = [
        data.token_payload(trace, window),
        data.block_payload(trace, 0, window),
        data.head_payload(trace, 0, 0, window),
        next_payload(trace, 1),
        odds_payload(trace, 1),
        data.layer_payload(trace, 0, 8),
    ]

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                check(item)
        elif isinstance(value, (list, tuple)):
            assert all(isinstance(item, str) for item in value)
        elif isinstance(value, np.ndarray):
            assert value.dtype in (np.float32, np.uint8, np.uint16, np.uint32, np.int32)
            assert value.flags.c_contiguous

    for part in parts:
        check(part)


@pytest.mark.parametrize(
    ("total", "query", "start"),
    [(1, 0, None), (40, 39, None), (41, 40, None), (1000, 3, None), (1000, 500, 990), (1000, 500, -4)],
)
def test_the_window_lies_in_the_text(total: int, query: int, start: int | None) -> None:
    window = Window.around(total, query, start)
    assert window.start >= 0
    assert window.start + window.count <= total
    assert window.count == (total if total <= LANES else WINDOW)
    if start is None:
        assert window.holds(query)


def test_an_attention_map_at_128_tokens_is_small(tiny: Callable[[str], Any]) -> None:
    model = tiny("gpt2")
    trace = model.trace(TEXT * 4)
    total = len(trace.tokens.ids)
    assert total > 100
    head = data.head_payload(trace, 1, 1, Window.around(total, total - 1))
    sent = sum(head[name].nbytes for name in ("pattern", "first", "earlier", "map"))
    assert sent <= 80_000
