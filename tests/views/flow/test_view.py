"""The flow without a browser: what is sent when, and what messages from the browser may do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from txpanel.session.state import ModelState
from txpanel.views.flow.component import FlowPicture
from txpanel.views.flow.view import FlowView

TEXT = "the cat sat"
PARTS = ("tokens", "block", "head", "next", "small")


@pytest.fixture
def view(tiny: Callable[[str], Any]) -> FlowView:
    made = FlowView(ModelState(model=tiny("llama"), text=TEXT))
    made.__panel__()
    return made


def heard(view: FlowView) -> list[str]:
    """Names of the picture's parts that are sent from now on."""
    names: list[str] = []
    view.picture.param.watch(lambda *events: names.extend(event.name for event in events), list(view.picture.param))
    return names


def test_all_parts_are_there_and_belong_together(view: FlowView) -> None:
    picture = view.picture
    assert picture.tokens["stamp"] == picture.block["stamp"] == picture.head["stamp"]
    assert picture.query == len(view.state.trace.tokens.ids) - 1
    assert picture.anatomy["layers"] == 3
    assert not any(value != value for value in picture.writes["attn"])


def test_only_what_changed_is_sent(view: FlowView) -> None:
    sent = heard(view)
    view.state.focus(head=1)
    assert [name for name in sent if name in PARTS] == ["head"]
    sent.clear()
    view.state.focus(layer=1)
    assert {name for name in sent if name in PARTS} == {"block", "head", "small"}
    sent.clear()
    view.state.focus(query=2)
    assert [name for name in sent if name in PARTS] == ["next"]
    sent.clear()
    view.state.focus(key=1)
    assert [name for name in sent if name in PARTS] == []
    assert view.picture.key == 1


def test_messages_move_the_focus_and_ask(view: FlowView) -> None:
    view._on_message({"type": "focus", "focus": {"head": 2, "nonsense": 4}})
    assert view.state.head == 2
    view.openable = {"mlp_post": "neurons"}
    assert view.picture.openable == {"mlp_post": "neurons"}
    asked = ["blocks.0.mlp_post", {"token": 3, "neuron": 5}]
    view._on_message({"type": "act", "open": "blocks.0.mlp_post", "focus": {"query": 3}, "ask": asked})
    assert (view.state.query, view.opened, view.picture.opened) == (3, "neurons", "neurons")
    assert view.state.question.name == "blocks.0.mlp_post"
    view._on_message({"type": "open", "tensor": "mlp_post"})
    assert view.picture.opened == "neurons"  # what is open stays open when it is asked for again
    view._on_message({"type": "open", "tensor": "pattern"})  # no view shows it
    view._on_message({"type": "act", "open": "pattern", "focus": {"query": 1}})
    assert (view.state.query, view.opened) == (1, "neurons")
    view._on_message({"type": "close"})
    assert view.opened == ""


@pytest.mark.parametrize(
    "message",
    [
        None,
        "focus",
        {},
        {"type": "eval"},
        {"type": "focus", "focus": 3},
        {"type": "act", "ask": ["no.such", {}]},
        {"type": "act", "ask": 7},
    ],
)
def test_messages_that_make_no_sense_do_nothing(view: FlowView, message: Any) -> None:
    before = view.state.param.values()
    view._on_message(message)
    assert view.state.param.values() == before


def test_a_far_focus_is_clamped(view: FlowView) -> None:
    view._on_message({"type": "focus", "focus": {"layer": 99, "query": -4}})
    assert (view.state.layer, view.state.query) == (2, 0)


def test_the_window_follows_the_chosen_token(tiny: Callable[[str], Any]) -> None:
    view = FlowView(ModelState(model=tiny("gpt2"), text=TEXT * 6))
    view.__panel__()
    total = len(view.state.trace.tokens.ids)
    assert view.picture.tokens["start"] == total - 28
    view._on_message({"type": "window", "start": 5})
    assert view.picture.tokens["start"] == 5
    view.state.focus(query=6)
    assert view.picture.tokens["start"] == 5
    view.state.focus(query=total - 1)
    assert view.picture.tokens["start"] == total - 28


def test_all_heads_are_sent_block_by_block(view: FlowView) -> None:
    layers: list[int] = []
    view.picture.param.watch(lambda event: layers.append(event.new["layer"]), "grid_part")
    view._on_message({"type": "grid"})
    assert layers == [0, 1, 2]


def test_a_view_without_a_text_waits_and_one_whose_text_is_gone_is_empty(tiny: Callable[[str], Any]) -> None:
    view = FlowView(ModelState())
    view.__panel__()
    assert view.picture.tokens == {}
    view._on_message({"type": "focus", "focus": {"layer": 1}})
    view = FlowView(ModelState(model=tiny("llama"), text=TEXT))
    view.__panel__()
    view.state.text = ""
    assert view.picture.tokens == view.picture.block == {}


def test_a_closed_view_is_freed(tiny: Callable[[str], Any]) -> None:
    state = ModelState(model=tiny("llama"), text=TEXT)
    view = FlowView(state)
    view.__panel__()
    gone = weakref.ref(view)
    view.close()
    del view
    gc.collect()
    assert gone() is None
    state.focus(head=1)


def test_defaults_that_every_session_gets_are_empty() -> None:
    picture = FlowPicture()
    assert all(not getattr(picture, name) for name in (*PARTS, "texts", "anatomy", "writes", "grid_part"))
