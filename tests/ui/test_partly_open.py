"""Models that are only partly opened, in a real browser: one server, one page for each model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import panel as pn
import pytest
from playwright.sync_api import Page, expect

from tests.partly_open import ODD, partly_open
from tests.ui.conftest import PATIENCE, SMALL, Tab, served
from txpanel.page import theme
from txpanel.page.dashboard import Dashboard
from txpanel.session.state import ModelState

model = cache(partly_open)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    def app() -> Any:
        given = {name: values[0].decode() for name, values in pn.state.session_args.items()}
        places = {name: int(given[name]) for name in ("layer", "head") if name in given}
        state = ModelState(model=model(given["model"]), text="the cat sat", **places)
        dashboard = Dashboard(state, fixed=True, dark="dark" in given, opened=given.get("view", ""))
        return theme.page([dashboard.bar.component, dashboard.body], title="txpanel", dark="dark" in given)

    for name in (ODD, "jamba"):
        model(name)
    with served(app) as found:
        yield found


@pytest.fixture
def show(address: str, new_tab: Callable[..., Tab]) -> Callable[..., Page]:
    def open_page(name: str, width: int = 1440, height: int = 900, **more: object) -> Page:
        page = new_tab(width, height, reduced_motion="reduce").page
        words = "&".join(f"{key}={value}" for key, value in {"model": name, **more}.items())
        page.goto(f"{address}?{words}", timeout=PATIENCE)
        page.locator(".flow[data-shows]").wait_for(timeout=PATIENCE)
        return page

    return open_page


@pytest.mark.sweep
def test_a_block_without_attention_is_drawn_as_what_it_is(show: Callable[..., Page]) -> None:
    page = show("jamba", layer=0, head=3)
    expect(page.locator(".flow")).to_have_attribute("data-shows", "0/0/10")
    box = page.locator(".flow button.opaque")
    expect(box).to_have_text("Mambanot opened here")
    expect(page.locator(".flow .head")).to_have_count(0)
    box.focus()
    tip = page.locator(".flow .tip")
    expect(tip).to_contain_text("JambaMambaMixer, ")
    expect(tip).to_contain_text("is not attention but")
    box.blur()
    expect(tip).to_be_hidden()
    page.get_by_role("heading", name="Block 1 has no attention").scroll_into_view_if_needed()
    heads = page.locator(".stepper.none")
    for _look in range(
        20
    ):  # pictures are built on the way; then the picture has gone, and what is chosen in it is repeated on top
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(100)
    expect(heads).to_have_attribute("aria-label", "Block 1 has no heads: Mamba. Attention is opened in blocks 2, 4.")
    expect(heads.locator("select")).to_be_disabled()
    expect(page.get_by_role("heading", name="Block 1 has no attention")).to_be_visible()
    page.mouse.wheel(0, -9000)
    expect(heads).to_be_hidden()
    page.locator(".flow .instead button").click()
    expect(page.locator(".flow")).to_have_attribute("data-shows", "1/0/10")
    expect(page.locator(".flow .head")).to_have_count(4)
    expect(page.get_by_role("heading", name="Block 1 has no attention")).to_be_hidden()
    page.get_by_role("button", name="Previous block").click()
    page.get_by_role("button", name="Go to block 2").last.press("Enter")
    expect(page.locator(".flow")).to_have_attribute("data-shows", "1/0/10")


@pytest.mark.sweep
def test_the_card_of_a_closed_parts_output_names_its_module_and_input(show: Callable[..., Page]) -> None:
    page = show(ODD, layer=0)
    page.get_by_role("slider", name="what it adds to the residual stream").press("Enter")
    card = page.locator(".why .card").first
    expect(card).to_contain_text("blocks.0.mixer_out")
    expect(card).to_contain_text("run again: same number")
    expect(card).to_contain_text("OddAttention, 3,072 parameters")
    card.get_by_role("button", name="mixer_in").click()
    expect(card.locator("code.cell")).to_contain_text("blocks.0.mixer_in")


@pytest.mark.sweep
@pytest.mark.parametrize("width", [1440, 390])
def test_the_badge_opens_the_list_of_parts(show: Callable[..., Page], width: int) -> None:
    page = show(ODD, width=width, height=844, layer=0, view=SMALL)
    badge = page.get_by_role("button", name="2 of 3 blocks not fully opened")
    badge.click()
    sheet = page.get_by_role("dialog", name="About this model")
    expect(sheet).to_contain_text("OddMLP, 4,224 parameters")
    expect(sheet.get_by_text("not opened", exact=True)).to_have_count(2)
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(badge).to_be_focused()
    expect(page.locator(".flow button.opaque b")).to_have_text("Attention")
