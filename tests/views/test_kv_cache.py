"""What the view shows is what the cache holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from txpanel import sharing
from txpanel.models.language_model import LanguageModel
from txpanel.state import ModelState
from txpanel.testing import check_view
from txpanel.tracing.record import prefixes
from txpanel.views.kv_cache import KVCacheView, kept

Tiny = Callable[[str], LanguageModel]


def words(view: KVCacheView) -> str:
    return " ".join(text for paragraph in view.words.paragraphs for _kind, text in paragraph)


def test_it_keeps_the_rules() -> None:
    check_view(KVCacheView)


@pytest.mark.parametrize(
    ("family", "heads", "dims"),
    [("gpt2", 4, (8, 8)), ("llama", 2, (8, 8)), ("deepseek_v3", 1, (12, 8)), ("falcon", 1, (8, 8))],
)
def test_what_is_kept_is_in_the_cache(tiny: Tiny, family: str, heads: int, dims: tuple[int, int]) -> None:
    state = ModelState(model=tiny(family), text="seven words")
    state.append(65)
    held = kept(state.trace)
    assert len(held) == 3
    for each in held:
        assert (each.heads, each.tokens, each.key_dim, each.value_dim) == (heads, 12, *dims)
        assert each.nbytes == 4 * heads * 12 * sum(dims)


def test_a_step_adds_one_column(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "traces", sharing.Store(10**9))  # another test may have made the same run at one go
    state = ModelState(model=tiny("llama"), text="seven words")
    view = KVCacheView(state)
    view.__panel__()
    state.append(65)
    assert view.map.tokens["n"] == 12
    assert view.map.tokens["fresh"] == 1
    assert "1 of 12" in words(view)
    costs = view.map.costs
    assert costs["at"][-1] == 12
    assert costs["whole"][0] == costs["cached"][0]
    assert costs["whole"][-1] > 10 * costs["cached"][-1] / 2
    assert "2 times smaller" in words(view)
    state.go(0)
    assert view.map.tokens["n"] == 11
    prefixes(state.model).clear()
    state.text = "other"
    prefixes(state.model).clear()
    view._run()
    assert view.map.blocks == []
    assert "not held" in words(view)


def test_a_window_reads_less_than_it_keeps(tiny: Tiny) -> None:
    view = KVCacheView(ModelState(model=tiny("gemma3_text"), text="seven words"))
    view.__panel__()
    assert [(block["kept"], block["read"]) for block in view.map.blocks] == [(11, 4), (11, 11), (11, 4)]
    assert "last 4 tokens" in words(view)
    view._clicked({"layer": 1, "token": 5})
    assert (view.state.layer, view.state.key) == (1, 5)
