"""The dashboard without a browser: what unfolds, what follows, what is freed, and the file it is saved to."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import panel as pn
import pytest

import txpanel
from txpanel.errors import TxpanelError
from txpanel.page.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Callable

    from txpanel.models.language_model import LanguageModel

TEXT = "CBABBC="


@pytest.fixture
def state(nano: LanguageModel) -> Any:
    return txpanel.ModelState(model=nano, text=TEXT)


def test_views_stand_in_their_order_with_the_flow_first(state: Any) -> None:
    dashboard = Dashboard(state)
    orders = [part.order for part in dashboard.views.parts]
    assert orders == sorted(orders)
    assert dashboard.views.parts[0].id == "flow"
    assert [entry["id"] for entry in dashboard.views.tabs.tabs][:2] == ["embedding", "attention"]
    assert not any(part.frame.failed for part in dashboard.views.parts if part.frame.origin == "")
    dashboard.close()


def test_only_what_is_unfolded_is_built_and_active(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    built = {part.id for part in dashboard.views.parts if part.frame.view is not None}
    assert built == {"flow", "softmax"}
    dashboard.opened = "mlp"
    assert {part.id for part in dashboard.views.parts if part.frame.active} == {"flow", "mlp"}
    dashboard.opened = ""
    assert [layout.visible for layout in dashboard.views.unfolded[1:]] == [
        False,
        False,
    ]  # the first is the line that says what comes
    dashboard.close()


def test_a_view_may_unfold_another_one(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    flow = dashboard.views.parts[0].frame.view
    assert flow is not None
    flow.opened = "embedding"
    assert dashboard.opened == "embedding"
    assert dashboard.views.tabs.chosen == "embedding"
    dashboard.close()


def test_a_click_on_a_tensor_opens_the_first_view_that_shows_it(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    flow = dashboard.views.parts[0].frame.view
    assert flow is not None
    opened = {}
    for tensor in (
        "embed",
        "blocks.1.pattern",
        "blocks.0.k",
        "blocks.0.attn_out",
        "mlp_out",
        "resid_pre",
        "ln1",
        "probs",
    ):
        flow.open_for(tensor)
        opened[tensor.rpartition(".")[2]] = dashboard.opened
    assert opened == {
        "embed": "embedding",
        "pattern": "attention",
        "k": "attention",
        "attn_out": "attention",
        "mlp_out": "mlp",
        "resid_pre": "residual",
        "ln1": "residual",
        "probs": "softmax",
    }
    flow.open_for("no_such_tensor")
    assert dashboard.opened == "softmax"
    dashboard.close()


def test_a_view_that_was_built_again_still_opens_others(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    frame = dashboard.views.parts[0].frame
    frame.retry()
    assert frame.view is not None
    assert frame.view.opened == "softmax"
    frame.view.open_for("embed")
    assert dashboard.opened == "embedding"
    dashboard.close()


def test_on_a_narrow_page_a_click_on_what_is_open_at_the_start_brings_it_as_a_sheet(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    dashboard.views._on_sheet({"narrow": True})
    dashboard.views.sheet.shown = False
    dashboard.views._on_tab({"open": ""})  # nothing folds what lies below the flow
    assert (dashboard.opened, dashboard.views.sheet.shown) == ("softmax", False)
    dashboard.views._on_tab({"open": "mlp"})
    assert (dashboard.opened, dashboard.views.sheet.shown) == ("mlp", True)
    dashboard.views._on_sheet({"open": ""})
    assert (dashboard.opened, dashboard.views.sheet.shown) == ("", False)
    dashboard.close()


def test_sampling_and_heads_need_no_forward_pass(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = Dashboard(state, opened="sampling")
    before = dashboard.bar.component.next, state.trace
    calls: list[int] = []
    monkeypatch.setattr("txpanel.session.shared.record", lambda *args: calls.append(1))
    dashboard.bar._on_message({"kind": "set", "temperature": 1.7, "top_k": 3, "seed": 5})
    dashboard.bar._on_message({"kind": "focus", "head": 1, "layer": 1})
    assert (state.temperature, state.top_k, state.head, state.layer) == (1.7, 3, 1, 1)
    assert dashboard.bar.component.settings["top_k"] == 3
    dashboard.bar._on_message({"kind": "set", "typical_p": 0, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2.0})
    assert (state.typical_p, state.repetition_penalty, state.no_repeat_ngram_size) == (1e-6, 1.3, 2)
    assert dashboard.bar.component.settings["typical_p"] == 1e-6
    assert dashboard.bar.component.next != before[0]
    assert state.trace is before[1]
    assert calls == []
    dashboard.close()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "nonsense"},
        {"kind": "set", "temperature": "hot", "top_p": 7, "seed": -3, "top_k": float("nan"), "typical_p": -1},
        {"kind": "focus", "layer": 99, "head": -1, "query": None},
        {"kind": "run", "text": "\ud800 half"},
        {"kind": "__class__"},
    ],
)
def test_whatever_the_browser_says_is_survived(state: Any, message: dict[str, Any]) -> None:
    dashboard = Dashboard(state, opened="softmax")
    dashboard.bar._on_message(message)
    assert state.trace is not None
    assert 0 <= state.layer < state.trace.anatomy.n_layers
    assert 0 <= state.top_p <= 1
    dashboard.close()


def test_the_other_theme_is_another_than_what_is_seen_now(state: Any) -> None:
    later: list[Callable[[], None]] = []
    board = Dashboard(state, follows=True, later=later.append)
    sheet = board.views.sheet
    sheet._handle_msg({"narrow": False, "dark": True})
    sheet._handle_msg({"narrow": False, "dark": False})
    assert not board.dark, "the pictures follow later"
    board.bar._on_message({"kind": "theme"})
    assert board.dark, "the system was light when the button was pressed"
    for step in later:
        step()
    assert board.dark, "what is late does not take the choice back"
    assert board._scheme() == {"color-scheme": "dark"}


def test_the_click_says_what_the_system_was_where_its_report_comes_later(state: Any) -> None:
    board = Dashboard(state, follows=True)
    board.views.sheet._handle_msg({"narrow": False, "dark": True})
    board.bar._on_message({"kind": "theme", "system": False})
    assert board.dark, "the browser reports that it has turned light a frame after the click"
    board.views.sheet._handle_msg({"narrow": False, "dark": False})
    assert board.dark


def test_the_theme_of_before_is_left_too_where_pictures_have_not_followed_the_system(state: Any) -> None:
    later: list[Callable[[], None]] = []
    board = Dashboard(state, follows=True, later=later.append)
    board.__panel__()
    board.views.sheet._handle_msg({"narrow": False, "dark": True})
    board.bar._on_message({"kind": "theme"})
    assert not board.dark
    assert board._layout.styles == {"color-scheme": "light"}, "the page does not follow the system any more"


def test_a_question_brings_the_card(state: Any) -> None:
    dashboard = Dashboard(state, opened="softmax")
    assert not dashboard.card.column.visible
    state.ask("logits", vocab=65)
    assert dashboard.card.column.visible
    assert dashboard.card.frame is not None
    assert not dashboard.card.frame.failed
    dashboard.close()


def test_a_closed_dashboard_is_freed_with_all_it_held(nano: LanguageModel) -> None:
    state = txpanel.ModelState(model=nano, text=TEXT)
    dashboard = Dashboard(state, opened="softmax")
    held = [weakref.ref(thing) for thing in (dashboard, state, dashboard.views.parts[0].frame.view, dashboard.bar)]
    dashboard.__panel__()
    dashboard.close()
    del dashboard, state
    gc.collect()
    assert [ref() for ref in held] == [None] * len(held)


def test_explain_shows_what_it_is_given(nano: LanguageModel) -> None:
    shown = txpanel.explain(TEXT, model=nano, layer=1, temperature=0.5)
    assert shown.state is not None
    assert (shown.state.layer, shown.state.temperature) == (1, 0.5)
    assert isinstance(shown.__panel__(), pn.Column)
    shown.close()


def test_explain_refuses_an_empty_text_in_words(nano: LanguageModel) -> None:
    try:
        shown = txpanel.explain("", model=nano)
    except TxpanelError as error:
        assert "text" in str(error)
    else:
        assert shown.state is not None
        assert "text" in (shown.state.error or "")
        shown.close()


def test_while_a_part_is_built_only_a_line_says_which(state: Any) -> None:
    """What was open goes first: it would stand under the new part's name, and the line would give way to it."""
    later: list[Callable[[], None]] = []
    dashboard = Dashboard(state, opened="softmax", later=later.append)
    later.pop()()
    seen: list[tuple[str, list[str]]] = []
    shown = lambda: [part.id for part in dashboard.views.parts if part.id != "flow" and part.frame.layout.visible]  # noqa: E731
    dashboard.views.waiting.param.watch(lambda event: seen.append((event.new, shown())), "text")
    dashboard.opened = "kv-cache"
    assert seen == [("Loading: KV cache …", [])]
    before = next(part.frame.layout for part in dashboard.views.parts if part.id == "softmax")
    assert before.css_classes == [
        "leaf",
        "folded",
        "view-softmax",
        "gone",
    ]  # it does not fade out below the new part's name
    later.pop()()
    assert shown() == ["kv-cache"]
    dashboard.opened = "softmax"  # built before: there at once, nothing to wait for
    assert dashboard.views.waiting.text == ""
    later.pop()()
    assert shown() == ["softmax"]
    dashboard.close()
