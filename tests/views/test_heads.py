"""Labels of heads on patterns whose right answer is known, and pooling against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from txpanel.views.heads import label_head, pool, scores

T = 12
IDS = np.arange(T)


def causal(rows: list[dict[int, float]]) -> np.ndarray:
    out = np.zeros((len(rows), len(rows)), np.float32)
    for query, row in enumerate(rows):
        for key, weight in row.items():
            out[query, key] = weight
    return out


PREVIOUS = causal([{max(q - 1, 0): 1.0} for q in range(T)])
FIRST = causal([{0: 1.0} for q in range(T)])
SELF = causal([{q: 1.0} for q in range(T)])
BROAD = causal([dict.fromkeys(range(q + 1), 1 / (q + 1)) for q in range(T)])


@pytest.mark.parametrize(
    ("pattern", "kind"), [(PREVIOUS, "previous"), (FIRST, "first"), (SELF, "self"), (BROAD, "broad")]
)
def test_pure_patterns_get_their_name(pattern: np.ndarray, kind: str) -> None:
    found, score = label_head(pattern, IDS)
    assert found == kind
    assert score == pytest.approx(1.0)


def test_induction_is_weight_on_what_followed_the_earlier_copy() -> None:
    ids = np.array([5, 6, 7, 8, 5, 6, 7, 8])
    pattern = causal([{0: 1.0}] * 4 + [{q - 3: 1.0} for q in range(4, 8)])
    assert scores(pattern, ids)["induction"] == pytest.approx(1.0)
    assert label_head(pattern, ids)[0] == "induction"


def test_induction_needs_repeats_and_does_not_count_the_token_itself() -> None:
    assert scores(FIRST, IDS)["induction"] == 0.0
    twice = np.array([1, 1, 1, 1])
    itself = causal([{q: 1.0} for q in range(4)])
    assert scores(itself, twice)["induction"] < 1.0


def test_a_pattern_that_fits_nothing_is_mixed() -> None:
    halves = causal([{0: 0.4, q: 0.3, max(q - 1, 0): 0.3} if q > 1 else {0: 1.0} for q in range(T)])
    assert label_head(halves, IDS)[0] == "mixed"


def test_short_texts_get_no_label() -> None:
    assert label_head(np.ones((1, 1), np.float32), np.array([3])) == ("mixed", 0.0)
    assert label_head(causal([{0: 1.0}, {0: 0.5, 1: 0.5}]), np.array([3, 4]))[0] == "mixed"


def test_scores_lie_between_nothing_and_all() -> None:
    rng = np.random.default_rng(0)
    raw = np.tril(rng.random((T, T)))
    pattern = (raw / raw.sum(1, keepdims=True)).astype(np.float32)
    assert all(0 <= score <= 1 for score in scores(pattern, rng.integers(0, 4, T)).values())


@pytest.mark.parametrize(("size", "side"), [(7, 7), (10, 4), (64, 32), (33, 16), (100, 96)])
def test_pooling_keeps_each_cells_greatest_weight(size: int, side: int) -> None:
    pattern = np.random.default_rng(1).random((size, size)).astype(np.float32)
    edges = [i * size // side for i in range(side)] + [size]
    small = pool(pattern, side)
    assert small.shape == (side, side)
    for r in range(side):
        for c in range(side):
            assert small[r, c] == pattern[edges[r] : edges[r + 1], edges[c] : edges[c + 1]].max()
