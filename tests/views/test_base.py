"""The contract of `txpanel.View`."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import panel as pn
import param
import pytest

from txpanel.toolkit.palette import ramp
from txpanel.toolkit.text import rich
from txpanel.views import base
from txpanel.views.base import View


class State(param.Parameterized):
    trace = param.Parameter()
    layer = param.Integer(0)


class Probe(View):
    id, title = "probe", "Probe"

    def __panel__(self) -> Any:
        self.calls: list[Any] = []
        seen = self.calls.append
        self.follow(lambda: seen((self.state.trace, self.state.layer)), "trace", "layer", empty=lambda: seen("empty"))
        return pn.pane.Str("")


def test_follow_waits_for_a_trace() -> None:
    state = State()
    view = Probe(state)
    view.__panel__()
    assert view.calls == ["empty"]
    state.trace = "a"
    assert view.calls[-1] == ("a", 0)


def test_several_changes_at_once_call_once() -> None:
    state = State(trace="a")
    view = Probe(state)
    view.__panel__()
    state.param.update(trace="b", layer=4)
    assert view.calls == [("a", 0), ("b", 4)]


@pytest.mark.parametrize("first", [True, False])
def test_on_a_served_page_the_first_view_shows_a_change_and_the_others_follow(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    state = State(trace="a")
    view = type("Here", (Probe,), {"first": first})(state)
    view.__panel__()
    ticks: list[Any] = []
    models = SimpleNamespace(_freeze_count=1)
    document = SimpleNamespace(session_context=object(), models=models, add_next_tick_callback=ticks.append)
    monkeypatch.setattr(base, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=document, loaded=True)))
    monkeypatch.setattr(base, "set_curdoc", lambda _document: nullcontext())
    monkeypatch.setattr(base, "unlocked", nullcontext)
    state.layer = 1
    state.layer = 2
    assert (view.calls[1:], len(ticks)) == (([("a", 1), ("a", 2)], 0) if first else ([], 1))
    for tick in ticks:
        tick()
    assert view.calls[-1] == ("a", 2)
    assert len(view.calls) == (3 if first else 2)  # of two changes in one tick the newest is enough


def test_panel_is_asked_once() -> None:
    view = Probe(State(trace="a"))
    assert view.__panel__() is view.__panel__()
    assert len(view.calls) == 1


def test_a_hidden_view_puts_its_updates_off() -> None:
    state = State(trace="a")
    view = Probe(state, active=False)
    view.__panel__()
    state.layer = 1
    state.layer = 2
    assert view.calls == []
    view.active = True
    assert view.calls == [("a", 2)]


def test_closed_view_is_not_called() -> None:
    state = State(trace="a")
    view = Probe(state)
    view.__panel__()
    view.close()
    state.layer = 5
    assert view.calls == [("a", 0)]


def test_outside_a_frame_errors_are_raised() -> None:
    class Broken(View):
        def __panel__(self) -> Any:
            self.follow(lambda: 1 / 0)
            return pn.pane.Str("")

    with pytest.raises(ZeroDivisionError):
        Broken(State(trace="a")).__panel__()


def test_mapper_follows_the_theme() -> None:
    view = Probe(State())
    mapper = view.mapper("signed", [-2.0, 1.0])
    assert (mapper.low, mapper.high) == (-2.0, 2.0)
    assert mapper.palette == list(ramp("signed", False))
    view.dark = True
    assert mapper.palette == list(ramp("signed", True))


def test_view_without_panel_method_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Nothing does not implement __panel__"):
        type("Nothing", (View,), {})(State()).__panel__()


def test_rich_reads_marks_before_the_values() -> None:
    assert rich("a <q>query of {token}</q>, {share}\n\nb", token="<b>{x}</b>", share="3 %") == [
        [("", "a "), ("q", "query of <b>{x}</b>"), ("", ", 3 %")],
        [("", "b")],
    ]


@pytest.mark.parametrize("first", [True, False])
def test_a_view_is_fed_when_the_block_that_it_looks_into_is_there(first: bool) -> None:
    """Of a long text a block is run again in a thread; meanwhile the view stays as it is, and then shows the newest."""
    waiting: list[Any] = []
    there = True

    class Long(State):
        def ready_to_look(self, then: Any) -> bool:
            if not there:
                waiting.append(then)
            return there

    state = Long(trace="a")
    view = type("Here", (Probe,), {"first": first})(state)
    view.__panel__()
    there = False
    state.layer = 3
    state.layer = 5
    assert view.calls == [("a", 0)]
    there = True
    for then in waiting:
        then()
    assert view.calls == [("a", 0), ("a", 5)]
    there = False
    late = type("Late", (Probe,), {"first": first})(state)  # opened meanwhile
    late.__panel__()
    assert late.calls == []
    there = True
    waiting[-1]()
    assert late.calls == [("a", 5)]
    there = False
    state.layer = 6
    view.close()
    waiting[-1]()  # the page is gone
    assert view.calls == [("a", 0), ("a", 5)]
