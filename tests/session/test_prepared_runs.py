"""What a newcomer sees is run once, and shown at once: only where model and run are there, and the model is what it was."""

from __future__ import annotations

import threading

import pytest
import torch

import txpanel
from txpanel.models.memory import MEMORY
from txpanel.session import prepared_runs, shared
from txpanel.session.state import ModelState

TEXT = "CBABBC="


def at_once(text: str = TEXT, **params: object) -> ModelState | None:
    """A session's state that shows the nano model at once, or None."""
    state = ModelState(dispatch=lambda result: result(), **params)  # type: ignore[arg-type]
    return state if state.load_at_once("nano", "why", text) else None


def test_a_prepared_run_is_shown_at_once_and_is_the_one_that_loading_shows() -> None:
    model = shared.shared_model("nano")
    prepared_runs.prepare(model, TEXT)
    state = at_once(head=1)
    assert state is not None
    assert (state.text, state.model_name, state.model_reason, state.busy, state.stale) == (
        TEXT,
        "nano",
        "why",
        False,
        False,
    )
    assert state.sampled is not None
    other = ModelState(text=TEXT, head=1)
    other.load("nano", "why")
    assert other.trace is state.trace  # one run for all
    assert (other.query, other.head, other.sampled.token) == (state.query, state.head, state.sampled.token)
    again = txpanel.load("nano").trace(TEXT).tensor("logits")
    torch.testing.assert_close(
        state.trace.tensor("logits"), again, rtol=1e-5, atol=1e-5
    )  # that one may continue a run of before


def test_nothing_is_done_where_something_would_have_to_be() -> None:
    shared.models.clear()
    prepared_runs.prepare(shared.shared_model("nano"), TEXT)
    assert at_once("another text") is None
    assert at_once(layer=1) is None  # that block would have to be run again
    state = ModelState(dispatch=lambda result: result())
    assert not state.load_at_once("no-such-model", "", TEXT)
    assert (state.text, state.model, state.trace) == ("", None, None)


def test_a_text_that_is_too_long_for_a_visitor_is_not_shown() -> None:
    from txpanel.models.limits import Limits

    prepared_runs.prepare(shared.shared_model("nano"), TEXT)
    told: list[str] = []
    assert at_once(limits=Limits(max_tokens=3), refused=told.append) is None
    assert told == []  # whoever loads it then is told, once


def test_a_model_that_has_changed_is_not_shown_with_its_old_run() -> None:
    shared.models.clear()
    model = shared.shared_model("nano")
    prepared_runs.prepare(model, TEXT)
    weight = next(model.model.parameters())
    with torch.no_grad():
        weight += 1.0
    try:
        assert at_once() is None
    finally:
        shared.models.clear()


def test_dropped_runs_are_made_again() -> None:
    shared.models.clear()
    prepared_runs.prepare(shared.shared_model("nano"), TEXT)
    MEMORY.clear()
    assert at_once() is None
    thread = threading.Thread(target=prepared_runs.renew)
    thread.start()
    thread.join()
    assert at_once() is not None


@pytest.fixture(autouse=True)
def _left_as_found() -> object:
    yield
    prepared_runs._texts.clear()
