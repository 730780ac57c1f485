"""What goes wrong in a view stays in its frame."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import panel as pn
import param
import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc

from txpanel.page.view_area import put
from txpanel.toolkit.text import ErrorCard
from txpanel.views.base import View
from txpanel.views.frame import ViewFrame, short_traceback


class State(param.Parameterized):
    trace = param.Parameter()
    layer = param.Integer(0)


class Good(View):
    id, title = "good", "Good"

    def __panel__(self) -> Any:
        pane = pn.pane.Str("nothing yet")
        self.follow(
            lambda: setattr(pane, "object", f"layer {self.state.layer} of {self.state.trace}"), "trace", "layer"
        )
        self.pane = pane
        return pane


class Touchy(Good):
    id = "touchy"

    def __panel__(self) -> Any:
        def update() -> None:
            if self.state.layer == 13:
                raise ValueError("thirteen <script>alert(1)</script>")

        self.follow(update, "trace", "layer")
        return pn.pane.Str("touchy")


def test_view_is_built_once_and_follows() -> None:
    state = State(trace="a")
    frame = ViewFrame.of(state, Good)
    layout = frame.__panel__()
    assert frame.__panel__() is layout
    assert isinstance(frame.view, Good)
    assert frame.view.pane.object == "layer 0 of a"
    state.layer = 3
    assert frame.view.pane.object == "layer 3 of a"
    assert not frame.failed


@pytest.mark.parametrize("phase", ["import", "build"])
def test_failure_becomes_a_card_and_retry_mends_it(phase: str) -> None:
    tries: list[int] = []

    class Flaky(Good):
        def __panel__(self) -> Any:
            if phase == "build" and len(tries) < 2:
                raise RuntimeError("not today")
            return super().__panel__()

    def load() -> type[View]:
        tries.append(1)
        if phase == "import" and len(tries) < 2:
            raise RuntimeError("not today")
        return Flaky

    frame = ViewFrame(State(trace="a"), load, name="flaky", origin="some-plugin 1.2")
    card = frame.__panel__()[0]
    assert isinstance(card, ErrorCard)
    assert frame.failed
    assert "flaky" in card.heading
    assert "some-plugin 1.2" in card.heading
    assert card.reason == "RuntimeError: not today"
    assert 'raise RuntimeError("not today")' in card.details
    card._handle_msg({"kind": "retry"})
    assert not frame.failed
    assert frame.layout[0] is frame.view.pane


def test_update_failure_leaves_the_others_alone() -> None:
    state = State(trace="a")
    bad, good = ViewFrame.of(state, Touchy), ViewFrame.of(state, Good)
    bad.__panel__(), good.__panel__()
    state.layer = 13
    card = bad.layout[0]
    assert isinstance(card, ErrorCard)
    assert card.reason == "ValueError: thirteen <script>alert(1)</script>"
    assert good.view.pane.object == "layer 13 of a"  # type: ignore[union-attr]
    state.layer = 2
    bad.retry()
    assert not bad.failed


def test_a_card_after_a_failed_update_is_known_to_the_server() -> None:
    """Else its button speaks of a model that the server does not know (bokeh's freeze has no `finally`)."""
    state, doc = State(trace="a"), Document()
    with set_curdoc(doc):
        frame = ViewFrame.of(state, Touchy)
        root = pn.Column(frame.layout).get_root(doc)
        doc.add_root(root)
        frame.build()
        state.layer = 13
        column = next(model for model in doc.models if model.id == frame.layout._models[root.ref["id"]][0].id)
        assert [model in set(doc.models) for model in column.children] == [True]
        state.layer = 2
        frame.layout[0]._handle_msg({"kind": "retry"})
        assert not frame.failed
        assert [model in set(doc.models) for model in column.children] == [True]


def test_another_version_is_refused_in_words() -> None:
    class Future(Good):
        api_version = 99

    frame = ViewFrame.of(State(), Future)
    assert "version 99" in frame.__panel__()[0].reason


def test_closed_frame_frees_the_view_and_the_state() -> None:
    state = State(trace="a")
    frame = ViewFrame.of(state, Good)
    frame.__panel__()
    view, kept = weakref.ref(frame.view), weakref.ref(state)  # type: ignore[arg-type]
    frame.close()
    del state
    gc.collect()
    assert view() is None
    assert kept() is None


def test_short_traceback_keeps_the_end() -> None:
    def deep(n: int) -> None:
        if n == 0:
            raise KeyError("bottom")
        deep(n - 1)

    with pytest.raises(KeyError) as caught:
        deep(30)
    lines = short_traceback(caught.value, 6).splitlines()
    assert len(lines) == 7
    assert lines[0] == "…"
    assert lines[-1] == "KeyError: 'bottom'"
    where = [
        line for line in lines if "File " in line
    ]  # Python 3.13 marks more lines than 3.11, so they are not always the same
    assert where
    assert all('File "views/test_frame.py", line' in line for line in where), "not where it is on the server"


class Odd(BaseException):
    """Neither an error nor an exit."""


@pytest.mark.parametrize("error", [SystemExit(3), Odd("own kind"), BaseExceptionGroup("several", [SystemExit()])])
@pytest.mark.parametrize("phase", ["import", "constructor", "panel", "update", "close"])
def test_no_view_ends_the_server(error: BaseException, phase: str) -> None:
    def fail(now: str) -> None:
        if phase == now:
            raise error

    class Fatal(Good):
        def __init__(self, *given: Any, **params: Any) -> None:
            fail("constructor")
            super().__init__(*given, **params)

        def __panel__(self) -> Any:
            fail("panel")
            self.follow(lambda: fail("update") if self.state.layer else None, "layer")
            return pn.pane.Str("stands")

        def close(self) -> None:
            super().close()
            fail("close")

    def load() -> type[View]:
        fail("import")
        return Fatal

    state = State(trace="a")
    frame, other = ViewFrame(state, load, name="fatal"), ViewFrame.of(state, Good)
    frame.build(), other.build()
    state.layer = 1
    assert frame.failed == (phase != "close")
    if frame.failed:
        assert type(error).__name__ in frame.layout[0].reason
    assert other.view.pane.object == "layer 1 of a"  # type: ignore[union-attr]
    frame.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_ctrl_c_and_cancellations_go_on(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txpanel.compat.held_exits._watched", False)

    class Cancelled(Good):
        def __panel__(self) -> Any:
            raise error

    frame = ViewFrame.of(State(trace="a"), Cancelled)
    with pytest.raises(type(error)):
        frame.build()


def test_a_view_that_panel_cannot_draw_is_a_card_and_the_next_one_is_put_beside_it(doc: Document) -> None:
    class Pane(pn.pane.Str):
        def _get_model(self, *given: Any, **more: Any) -> Any:
            raise RuntimeError("cannot be drawn")

    class Undrawable(Good):
        def __panel__(self) -> Any:
            return Pane("x")

    column = pn.Column()
    root = column.get_root(doc)
    doc.add_root(root)
    state = State(trace="a")
    frames = [ViewFrame.of(state, view) for view in (Undrawable, Good)]
    for frame in frames:
        frame.build()
        put(frame, column)
    assert [frame.failed for frame in frames] == [True, False]
    assert frames[0].layout[0].reason == "RuntimeError: cannot be drawn"
    assert len(root.children) == 2
