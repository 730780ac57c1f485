"""The queue for a model in a real browser: its place is shown from one second on, and can be left."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
from playwright.sync_api import expect

from tests.ui.conftest import PATIENCE, Tab, served
from txpanel.compat.thread_handover import hand_over
from txpanel.models.loading import load
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState

MODEL = load("nano")


def test_the_place_in_the_queue_is_shown_and_can_be_left(new_tab: Callable[..., Tab]) -> None:
    states: list[ModelState] = []

    def app() -> pn.Column:
        document = pn.state.curdoc
        bar = Bar(on_theme=lambda _system: None)
        states.append(ModelState(dispatch=lambda result: hand_over(document, result), model=MODEL, text="CBABBC="))
        bar.attach(states[-1])
        return pn.Column(bar.component, sizing_mode="stretch_width")

    with served(app) as address:
        tab = new_tab()
        tab.page.goto(address, timeout=PATIENCE)
        expect(tab.prompt).to_have_value("CBABBC=")
        tab.until(lambda: tab.runs == 1)
        leave = tab.page.get_by_role("button", name="Cancel")
        with MODEL.lock:  # somebody else's work
            tab.run("EDCBA=")
            tab.page.get_by_text("Place 1 in the queue for the model").wait_for(timeout=PATIENCE)
            leave.click()
            expect(tab.page.get_by_text("You left the queue.")).to_be_visible()
            expect(leave).to_be_hidden()
            tab.until(lambda: MODEL.lock.waiting == 0)
            expect(tab.prompt).to_have_value("EDCBA=")
        assert states[0].trace.text == "CBABBC="
        tab.run("EDCBA=")
        tab.until(lambda: tab.runs == 2)
        assert states[0].trace.text == "EDCBA="
        expect(tab.page.get_by_text("You left the queue.")).to_be_hidden()
