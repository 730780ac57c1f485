"""The embedding view in the browser: pieces, strips that differ, neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="

PIXELS = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1).data
  return [canvas.width, [...data].slice(0, 400).join()]
}"""


def test_every_strip_shows_its_own_numbers(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="embedding"), as_is=True)
    tab.look_at_all()
    strips = tab.page.locator(".strip canvas")
    tab.until(lambda: strips.count() >= 6 and strips.nth(5).evaluate(PIXELS)[0] > 10)
    pictures = [strips.nth(i).evaluate(PIXELS)[1] for i in range(3)]
    assert len(set(pictures)) == 3  # token row, position row, their sum


def test_a_piece_is_chosen_with_the_keyboard(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="embedding"), as_is=True)
    pieces = tab.page.get_by_role("listbox", name="Tokens of the text")
    last = pieces.get_by_role("option", selected=True)
    expect(last).to_have_count(1)
    last.focus()
    last.press("Home")
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Enter")
    expect(pieces.get_by_role("option", selected=True)).to_have_attribute("data-at", "1")
    expect(tab.page.get_by_role("slider", name=re.compile("position embedding .row 1"))).to_have_count(1)
    expect(tab.page.locator("button.token.on")).to_have_attribute("data-token", "1")


def test_nearest_neighbours_are_shown_and_listed_in_the_table(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="embedding"), as_is=True)
    tab.look_at_all()
    expect(tab.page.get_by_text(re.compile("rows of the embedding matrix with the largest cosine"))).to_be_visible()
    tab.page.get_by_role("button", name="numbers and files").last.click()
    tab.page.get_by_role("button", name="Show the numbers").last.click()
    expect(tab.page.get_by_role("table").last).to_contain_text("cosine")


@pytest.mark.sweep
@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="embedding"), width, 844, dark=bool(dark), as_is=True)
    expect(tab.page.locator(".strip").first).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
