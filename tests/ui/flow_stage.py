"""The flow by itself on a page: a server of this one view, and what tests ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import panel as pn
from playwright.sync_api import Page, expect

from tests.ui.tab import PATIENCE, Tab
from txpanel.compat.thread_handover import hand_over
from txpanel.page.frames import openable, parts
from txpanel.session.state import ModelState
from txpanel.views.flow.view import FlowView

TEXT = "the cat sat"


def inside(page: Page, script: str) -> Any:
    """Runs a script with `flow`, the element of the picture, found through the shadow roots."""
    return page.locator(".flow").evaluate(f"(flow) => {{ {script} }}")


def until(page: Page, what: Callable[[], object]) -> None:
    for _try in range(400):
        if what():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")


@dataclass
class Stage:
    """A server of one view; `state` and `view` are those of the newest visitor."""

    url: str = ""
    model: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    view: Any = None
    doc: Any = None
    visits: dict[Page, tuple[Any, Any, Any]] = field(default_factory=dict)

    def app(self) -> pn.Column:
        self.state = ModelState(model=self.model, **{"text": TEXT, **self.options})
        self.view, self.doc = FlowView(self.state, openable=openable(parts(self.state))), pn.state.curdoc
        return pn.Column(self.view, sizing_mode="stretch_width")

    def do(self, function: Callable[[], Any]) -> None:
        """Has the newest visitor's session do something."""
        hand_over(self.doc, function)


def open_flow(tab: Tab, address: str) -> None:
    tab.page.goto(address, timeout=PATIENCE)
    tab.page.locator(".flow[data-shows]").wait_for(timeout=PATIENCE)


def flow_in(tab: Tab, stage: Stage) -> Page:
    """The page of a tab that is open, whose visitor counts as the newest, when the flow stands still in its width."""
    page = tab.page
    stage.state, stage.view, stage.doc = stage.visits.setdefault(page, (stage.state, stage.view, stage.doc))
    until(page, lambda: inside(page, "return innerWidth - flow.clientWidth < 60 && flow.flow.W === flow.clientWidth"))
    expect(page.locator(".flow")).to_have_attribute("data-moving", "false")
    return page
