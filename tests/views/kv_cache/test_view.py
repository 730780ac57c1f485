"""What the view shows is what the cache holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import Store
from txpanel.session import shared
from txpanel.session.state import ModelState
from txpanel.testing import check_view
from txpanel.tracing import Trace
from txpanel.tracing.record import prefixes
from txpanel.views.kv_cache.data import Kept, kept
from txpanel.views.kv_cache.view import KVCacheView
from txpanel.views.kv_cache.words import counted

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


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text", "deepseek_v3", "falcon"])
def test_the_bytes_are_worked_out_from_the_models_own_sizes(tiny: Tiny, family: str) -> None:
    view = KVCacheView(ModelState(model=tiny(family), text="seven words"))
    view.__panel__()
    with view.state.trace.model.lock:
        cache = prefixes(view.state.model).holding([int(token) for token in view.state.trace.tokens.ids]).cache  # type: ignore[union-attr]
    real = [sum(t[0].numel() * t.element_size() for t in (one.keys, one.values)) for one in cache.layers]
    for layer in (0, 2):
        view.state.focus(layer=layer)
        block, everything, token = view.map.bytes
        config = view.state.model.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        assert block[0] == f"block {layer + 1}"
        for (_label, sum_, result), value in zip(
            (block, everything, token), (real[layer], sum(real), sum(real) / 11), strict=True
        ):
            assert whole(result) == evaluated(sum_) == pytest.approx(value)
        if family in ("llama", "gemma3_text"):
            assert block[1].startswith(f"{heads} key/value heads × 11 tokens × (")
    view.state.text = ""
    assert view.map.bytes == []


def test_blocks_of_different_sizes_are_added_up() -> None:
    held = [Kept(2, 5, 8, 8, 640, 4), Kept(1, 5, 8, 4, 240, 4), Kept(2, 5, 8, 8, 640, 4)]
    block, everything, token = counted(held, 1)
    assert block == ["block 2", "1 key/value head × 5 tokens × (8 + 4) numbers × 4 bytes", "240 bytes"]
    assert everything == ["all 3 blocks", "2 × 640 + 1 × 240", "1,520 bytes"]
    assert token == ["each token", "1,520 ÷ 5", "304 bytes"]
    assert counted([], 0) == []


def evaluated(text: str) -> float:
    """What a sum on the page comes to."""
    plain = re.sub(r"[a-z]+([,/][a-z]+)?", "", text).replace(",", "").replace("×", "*").replace("÷", "/")
    assert re.fullmatch(r"[\d+*/() .]+", plain)
    return float(eval(plain))


def whole(text: str) -> float:
    """The number before the word."""
    return float(text.removesuffix(" bytes").replace(",", ""))


def test_a_step_adds_one_column(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shared, "traces", Store("runs", Trace.storages)
    )  # another test may have made the same run at one go
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
    assert "no longer in memory" in words(view)


def test_a_window_reads_less_than_it_keeps(tiny: Tiny) -> None:
    view = KVCacheView(ModelState(model=tiny("gemma3_text"), text="seven words"))
    view.__panel__()
    assert [(block["kept"], block["read"]) for block in view.map.blocks] == [(11, 4), (11, 11), (11, 4)]
    assert "last 4 tokens" in words(view)
    view._clicked({"layer": 1, "token": 5})
    assert (view.state.layer, view.state.key) == (1, 5)
