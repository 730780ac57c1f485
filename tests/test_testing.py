"""The check for plugin authors: passes a good view, and says what is wrong with each bad one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import param
import pytest

import txpanel
from tests.sweeping import first
from txpanel.testing import check_view, nano_state
from txpanel.views.base import View


class Good(View):
    """How many tokens there are."""

    id, title = "good-view", "Good"
    shown = param.Integer(0, doc="What it shows.")

    def __panel__(self) -> Any:
        pane = pn.pane.Str("")
        self.follow(lambda: setattr(pane, "object", str(len(self.state.trace.tokens))), "trace")
        return pane


def variant(**changes: Any) -> type[View]:
    """The good view with something wrong."""
    return type("Variant", (Good,), {"__doc__": "A variant.", **changes})


def build(step: Callable[[Any], Any]) -> type[View]:
    return variant(__panel__=step)


def needs_data(self: Any) -> Any:
    return pn.pane.Str(self.state.trace.text)


def fails_on_update(self: Any) -> Any:
    def update() -> None:
        assert self.state.trace.text != "cab", "cannot do cabs"

    self.follow(update, "trace")
    return pn.pane.Str("")


def fetches(self: Any) -> Any:
    return pn.pane.Str("", stylesheets=["https://fonts.example.org/x.css"])


def keeps_watching(self: Any) -> Any:
    self.state.param.watch(lambda event: None, "trace")
    return pn.pane.Str("")


KEPT: list[Any] = []


def keeps_itself(self: Any) -> Any:
    KEPT.append(self)
    return pn.pane.Str("")


class FetchingComponent(pn.custom.JSComponent):
    _esm = "import confetti from 'https://esm.example.org/confetti'; export function render() {}"


def test_a_good_view_passes() -> None:
    check_view(Good)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (variant(id=""), "id"),
        (variant(id="Has Spaces"), "hyphens"),
        (variant(title=" "), "title"),
        (variant(__doc__=""), "docstring"),
        (variant(api_version=2), "version 2"),
        (variant(extra=param.Integer(0)), "extra"),
        (pn.pane.Str, "derive"),
        (build(fails_on_update), "cabs"),
        (build(fetches), r"fonts\.example\.org"),
        (build(lambda _self: pn.FlexBox("text")), "JavaScript as a text"),
        (build(lambda self: FetchingComponent()), r"esm\.example\.org"),
        (build(keeps_watching), "still watches"),
        (build(keeps_itself), "alive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_broken_rule_is_named(view: type[View], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_view(view)
    KEPT.clear()


def test_a_view_that_cannot_do_without_a_run_fails() -> None:
    with pytest.raises(AttributeError):
        check_view(build(needs_data))


@pytest.mark.slow
@pytest.mark.parametrize("name", first(2, ["Attention", "Flow", "Embedding", "MLP", "Residual", "Softmax", "Sampling"]))
def test_the_built_in_views_pass(name: str) -> None:
    check_view(getattr(txpanel.views, f"{name}View"))


def test_nano_state_is_a_real_run() -> None:
    state = nano_state("cab", layer=1)
    assert state.trace.text == "cab"
    assert state.layer == 1
    assert state.trace.why("logits", vocab=1).check.ok
    assert nano_state().model is state.model
