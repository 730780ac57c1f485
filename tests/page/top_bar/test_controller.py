"""The bar hears what is typed, whenever that is."""

from __future__ import annotations

from typing import Any

import pytest

from txpanel.decoding.settings import USUAL
from txpanel.decoding.stages import SPECS
from txpanel.models.language_model import LanguageModel
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState


@pytest.fixture
def bar() -> Bar:
    return Bar(on_theme=lambda _system: None)


def test_a_text_that_was_run_before_there_was_a_state_is_run_then(bar: Bar, nano: LanguageModel) -> None:
    bar._on_message({"kind": "run", "text": "BA=", "asked": "first"})
    bar._on_message({"kind": "run", "text": "CAB=", "asked": "second"})
    bar._on_message({"kind": "undo"})
    assert bar.component.heard == ""
    state = ModelState(model=nano)
    bar.attach(state)
    assert state.text == bar.component.text == "CAB="
    assert state.trace is not None
    assert bar.component.heard == "second"


def test_each_text_is_confirmed_also_one_that_is_refused(
    bar: Bar, nano: LanguageModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = ModelState(model=nano, text="BA=")
    bar.attach(state)
    for asked, data in (
        ("same", {"kind": "run", "text": "BA="}),
        ("long", {"kind": "run", "text": "A" * 1000}),
        ("more", {"kind": "generate", "text": "CB=", "n": 1}),
    ):
        bar._on_message({**data, "asked": asked})
        assert bar.component.heard == asked
        assert str(bar.component.text).startswith(str(data["text"]))  # without a server it has generated already
    bar._on_message({"kind": "set", "seed": 7})
    assert bar.component.heard == "more"

    def fails(*_args: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(bar, "_on_run", fails)
    bar._on_message({"kind": "run", "text": "x", "asked": "failed"})  # an error is a line of the log
    assert bar.component.heard == "failed"
    assert "RuntimeError: no" in caplog.text


def test_the_bar_offers_every_declared_stage_as_it_is_declared(bar: Bar) -> None:
    offered = {one["key"]: one for one in bar.component.stages}
    assert list(offered) == [spec.key for spec in SPECS]
    assert [key for key, one in offered.items() if one["in_bar"]] == ["temperature", "top_p"]
    for spec in SPECS:
        one = offered[spec.key]
        assert (one["off"], one["least"], one["most"], one["whole"]) == (
            spec.off,
            spec.least,
            spec.most,
            spec.kind is int,
        )
        assert bar.component.settings[spec.key] == USUAL[spec.key]
