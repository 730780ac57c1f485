"""A session of the page: what it begins with, and that nothing of it is left when it has ended."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.document import _destroy_document
from panel.io.state import set_curdoc

from txpanel.server import session_page


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[session_page.Session]:
    """A session of the nano model in a document of its own, without a server."""
    monkeypatch.setenv("TXPANEL_MODEL", "nano")
    session_page.warm_up()
    document = Document()
    with set_curdoc(document):
        session = session_page.Session()
    yield session
    session._end(None)


def _ticks(session: session_page.Session) -> None:
    """Runs what a server would run on the session's thread, until nothing comes any more."""
    for _round in range(200):
        callbacks = session.doc.session_callbacks
        for callback in callbacks:
            with set_curdoc(session.doc):
                callback.callback()
        if not callbacks and session.state is not None and session.state.trace is not None and not session.state.busy:
            return
        threading.Event().wait(0.05)


def test_a_session_chooses_its_model_and_runs_an_example(begun: session_page.Session) -> None:
    _ticks(begun)
    assert begun.state is not None
    assert begun.state.model_name == "nano"
    assert begun.state.trace is not None
    assert begun.dashboard.bar.component.status["ready"]


def test_what_arrives_before_the_browser_has_the_page_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panel drops changes from then: on a warm server, the first visitor's page stayed without its model."""
    loaded: list[Callable[[], None]] = []
    monkeypatch.setenv("TXPANEL_MODEL", "nano")
    monkeypatch.setattr(type(pn.state), "onload", lambda _self, callback, **_options: loaded.append(callback))
    session_page.warm_up()
    document = Document()
    with set_curdoc(document):
        session = session_page.Session()
    called: list[str] = []
    session.dispatch(lambda: called.append("first"))
    session.dispatch(lambda: called.append("second"))
    assert not document.session_callbacks
    loaded[0]()
    _ticks(session)
    assert sorted(called) == ["first", "second"]  # without a server they are in no order
    assert session.state is not None
    assert session.state.trace is not None
    session._end(None)


def test_an_ended_session_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MODEL", "nano")
    session_page.warm_up()
    document = Document()
    with set_curdoc(document):
        session = session_page.Session()
    _ticks(session)
    kept: list[Any] = [session.state, session.dashboard, session.page, session]
    held = [weakref.ref(thing) for thing in kept]
    for callback in document.callbacks.session_destroyed_callbacks:
        callback(None)
    kept.clear()
    del session, document, callback
    gc.collect()
    assert [ref() for ref in held] == [None] * len(held)


def test_an_end_is_an_end_although_the_document_is_gone_before(
    begun: session_page.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server ends a session: Bokeh takes the document apart, and only then says so."""
    monkeypatch.setattr(type(pn.state), "schedule_task", lambda *_given, **_named: None)  # wants a server's loop
    begun.page.server_doc(doc=begun.doc)
    _ticks(begun)
    frames = [part.frame for part in begun.dashboard.views.parts]
    state = begun.state
    assert any(frame.view is not None for frame in frames)
    begun.doc.destroy = partial(_destroy_document, begun.doc)  # as Panel's server has it
    begun.doc.destroy(None)
    begun._end(None)
    assert [frame.state for frame in frames] == [None] * len(frames)
    assert begun.dashboard.state is None
    assert begun.state is None
    assert state is not None
    assert begun.doc not in [view[2] for view in pn.state._views.values()]


def test_the_page_does_not_wait_for_torch() -> None:
    """Whatever the page itself is made of must come without it: it takes seconds, and the page is painted before."""
    script = "import sys, txpanel.server.session_page; print([m for m in ('torch', 'transformers', 'xarray', 'holoviews') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.strip() == "[]"
