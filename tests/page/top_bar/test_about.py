"""“About this model”: how much of it is open, and why the rest is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.families import tiny
from tests.partly_open import ODD, partly_open
from txpanel.models.openness import Part
from txpanel.page.top_bar.about import about, badge, groups
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState


def bar_of(model: Any, **params: Any) -> tuple[Bar, ModelState]:
    bar, state = Bar(on_theme=lambda _system: None), ModelState(model=model, text="the cat sat", **params)
    bar.attach(state)
    return bar, state


def test_a_model_that_is_open_as_a_whole_has_no_badge() -> None:
    model = tiny("llama")
    bar, _state = bar_of(model)
    shown = bar.component.info["about"]
    assert shown["badge"] == ""
    assert shown["lead"].startswith(f"{len(model.report())} of {len(model.report())} parts of this model are opened")
    assert {one["state"] for one in shown["groups"]} == {"open"}
    assert bar.component.place["why"] == {}
    bar.close()


def test_closed_parts_are_counted_and_said_with_their_reasons() -> None:
    model = partly_open(ODD)
    bar, state = bar_of(model)
    shown = bar.component.info["about"]
    assert shown["badge"] == badge(model.anatomy) == "2 of 3 blocks not fully opened"
    closed = [one for one in shown["groups"] if one["state"] == "opaque"]
    assert shown["groups"][: len(closed)] == closed  # what is closed stands first
    assert [(one["name"], one["where"]) for one in closed] == [("attention", "block 1"), ("MLP", "block 2")]
    assert [one["module"] for one in closed] == ["OddAttention, 3,072 parameters", "OddMLP, 4,224 parameters"]
    for one, part in zip(closed, model.report().opaque, strict=True):
        assert part.reason.rstrip(".")[1:] in one["reason"]
        assert one["rows"][0]["name"] == part.name
    assert sum(len(one["rows"]) for one in shown["groups"]) == len(model.report())
    assert bar.component.place["why"]["head"].startswith("Block 1 has no heads: attention, not opened here.")
    assert bar.component.place["choices"]["head"] == []
    state.focus(layer=2)
    assert bar.component.place["why"] == {}
    assert len(bar.component.place["choices"]["head"]) == 4
    bar.close()


def test_blocks_of_several_kinds_say_theirs() -> None:
    bar, _state = bar_of(partly_open("jamba"))
    assert bar.component.place["choices"]["layer"] == [
        "1 of 4 · Mamba", "2 of 4 · attention", "3 of 4 · Mamba", "4 of 4 · attention",
    ]  # fmt: skip
    assert bar.component.info["facts"] == "4 blocks · 4 heads, 2 key/value heads"
    bar.close()


def test_long_lists_are_folded_by_what_is_alike() -> None:
    anatomy = partly_open("mamba").anatomy
    parts = [Part(f"blocks.{i % 4}.mixer", "opaque", "a reason", 0.5 if i == 7 else None) for i in range(8)]
    (one,) = groups(anatomy, parts)
    assert (one["where"], len(one["rows"]), one["reason"]) == ("blocks 1–4", 8, "A reason.")
    assert "0.50, relative to the largest number of the token's vector" in one["difference"]


@pytest.mark.parametrize(
    ("state", "value", "words"),
    [("open", 0.0, "Exactly equal"), ("open", 3e-7, "3.0e−7"), ("opaque", 0.44, "it is not opened")],
)
def test_differences_are_said_in_words(state: Any, value: float, words: str) -> None:
    anatomy = partly_open("mamba").anatomy
    (one,) = about(anatomy, [Part("blocks.0.mixer", state, "", value)])["groups"]
    assert words in one["difference"]
