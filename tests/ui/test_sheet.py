"""On a phone an opened part lies over the page as a sheet, and goes again; on a wide page there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.sweeping import first
from tests.ui.conftest import SMALL, Server, Tab

TEXT = "CBABBC="


def covers(page: Page) -> bool:
    """Whether the sheet is what one would touch in the middle of the screen."""
    box = page.get_by_role("dialog").bounding_box()
    return box is not None and box["x"] == 0 and box["width"] == 390 and 40 < box["y"] < 90 and box["height"] > 700


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_on_a_phone_an_opened_part_is_a_sheet_that_can_be_closed(
    server: Server, kept: Callable[..., Tab], how: str
) -> None:
    tab = kept(server.address(text=TEXT) + "#phone", 390, 844, motion="no-preference", as_is=True)
    page = tab.page
    if "view=mlp" in page.url:  # an earlier test has left it open
        page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)  # what is open from the start stands in the page
    heading = page.locator(".heading[data-part=mlp]")
    heading.click()
    sheet = page.get_by_role("dialog", name="MLP")
    expect(sheet).to_be_visible()
    tab.until(lambda: covers(page), "it slides up until it covers the page")
    expect(sheet.get_by_role("heading").first).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if how == "button":
        sheet.get_by_role("button", name="Close", exact=True).click()
    else:
        page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(heading).to_have_attribute("aria-expanded", "false")
    expect(heading).to_be_focused()
    heading.click()
    expect(page.get_by_role("dialog", name="MLP")).to_be_visible()


@pytest.mark.sweep
def test_on_a_phone_a_part_that_is_open_from_the_start_comes_up_as_a_sheet_too(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(390, 844).open(server.address(text=TEXT))
    page = tab.page
    page.locator(".heading[data-part=attention]").click()
    expect(page.get_by_role("dialog", name="Attention")).to_be_visible()
    tab.until(lambda: covers(page), "it slides up until it covers the page")


@pytest.mark.sweep
@pytest.mark.parametrize("width", first(1, [390, 1440]))
def test_the_top_bar_scrolls_away_and_a_slim_one_replaces_it(
    server: Server, new_tab: Callable[..., Tab], width: int
) -> None:
    tab = new_tab(width, 844, reduced_motion="reduce").open(server.address(text=TEXT))
    bar, block = tab.page.get_by_role("banner"), tab.page.get_by_role("combobox", name="Block")

    def lower() -> float:
        box = bar.bounding_box()
        return 0 if box is None else box["y"] + box["height"]

    whole = lower()
    assert whole > 110
    expect(block).to_be_hidden()  # it is chosen in the picture
    tab.page.get_by_role("button", name="All 9 heads").scroll_into_view_if_needed()
    tab.page.mouse.move(width / 2, 500)
    tab.page.mouse.wheel(0, 300)
    tab.until(lambda: lower() < 1, "the bar has gone")
    tab.until(lambda: tab.page.mouse.wheel(0, 2000) or block.is_visible(), "it comes")  # pictures are built on the way
    for name in ("Block", "Head", "Token"):
        expect(tab.page.locator(".stepper .name", has_text=name)).to_be_visible()
    box = block.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 20
    block.select_option("1")
    expect(tab.page.locator(".flow")).to_have_attribute("data-shows", "1/0/6")
    tab.prompt.focus()
    tab.until(lambda: abs(lower() - whole) < 2, "who comes with the keyboard gets all of it")


@pytest.mark.sweep
def test_a_wide_page_has_no_sheet(server: Server, new_tab: Callable[..., Tab]) -> None:
    page = new_tab(1440, 900, reduced_motion="no-preference").open(server.address(text=TEXT, view=SMALL)).page
    page.locator(".heading[data-part=mlp]").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("MLP")
    expect(page.get_by_role("dialog")).to_have_count(0)
    leaf = page.locator(".tx-unfolded .leaf:not(.folded)")
    expect(leaf).to_have_css("opacity", "1")
    expect(leaf).to_have_css("transition-duration", "0.28s, 0.28s, 0.28s")
    page.emulate_media(reduced_motion="reduce")
    expect(leaf).to_have_css("transition-duration", "0s")
    page.locator(".heading[data-part=mlp]").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("MLP")  # what is open stays open
    page.get_by_role("button", name="Close what is open").click()
    expect(page.get_by_role("tab", selected=True)).to_have_count(0)
