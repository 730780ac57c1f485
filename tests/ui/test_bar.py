"""The prompt by itself in a real browser: what somebody types stays, whatever comes from the server and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import panel as pn
import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import PATIENCE, Tab, served
from txpanel.compat.thread_handover import hand_over
from txpanel.page.top_bar.controller import Bar


class Stage:
    """A server whose page is the bar alone; what its browser says is kept, not answered."""

    def __init__(self) -> None:
        self.url, self.heard = "", list[dict[str, Any]]()

    def app(self) -> pn.Column:
        self.bar, self.doc = Bar(on_theme=lambda _system: None), pn.state.curdoc
        self.bar.component._on_message = self.heard.append
        self.bar.component.text = "from the start"
        return pn.Column(self.bar.component, sizing_mode="stretch_width")

    def tell(self, **values: Any) -> None:
        hand_over(self.doc, lambda: self.bar.component.param.update(**values))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with served(stage.app) as stage.url:
        yield stage


@pytest.fixture
def page(stage: Stage, new_tab: Callable[..., Tab]) -> Page:
    page = new_tab().page
    page.goto(stage.url, timeout=PATIENCE)
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("from the start")
    stage.heard.clear()
    return page


def asked(stage: Stage, page: Page, n: int) -> str:
    """The mark of the n-th text that the server has been asked to run."""
    for _try in range(400):
        found = [data for data in stage.heard if "asked" in data]
        if len(found) >= n:
            return str(found[n - 1]["asked"])
        page.wait_for_timeout(50)
    raise AssertionError("the server was not asked")


def test_a_late_message_with_an_older_text_does_not_replace_the_newer_one(stage: Stage, page: Page) -> None:
    prompt = page.get_by_role("textbox", name="Prompt")
    for text in ("first", "second"):
        prompt.fill(text)
        prompt.press("Enter")
    first, second = (asked(stage, page, n) for n in (1, 2))
    stage.tell(text="first", heard=first, next={"text": "ghost of the first", "p": 1.0})
    expect(page.locator("button.ghost")).to_have_text("ghost of the first")  # so all of it has arrived
    assert prompt.input_value() == "second"
    stage.tell(text="second, as the server writes it")
    stage.tell(heard=second)
    expect(prompt).to_have_value("second, as the server writes it")
    stage.tell(text="undone")
    expect(prompt).to_have_value("undone")


def test_what_is_typed_while_a_text_runs_stays(stage: Stage, page: Page) -> None:
    prompt = page.get_by_role("textbox", name="Prompt")
    prompt.fill("first")
    prompt.press("Enter")
    prompt.press_sequentially(" and more")
    stage.tell(text="first")
    stage.tell(heard=asked(stage, page, 1), next={"text": "its ghost", "p": 1.0})
    expect(page.locator("button.ghost")).to_have_text("its ghost")
    assert prompt.input_value() == "first and more"
    expect(page.get_by_role("button", name="Run", exact=False).first).to_be_visible()
