"""The MLP view in the browser: the curve, the neurons that write most, a question from each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab
from tests.ui.tab import cell_of

TEXT = "CBABBC="


def test_a_click_on_a_neuron_opens_its_card_and_selects_it(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="mlp", layer=1))
    table = tab.page.get_by_role("table", name="Neurons with the largest outputs")
    expect(table.get_by_role("row")).to_have_count(9)
    expect(table.locator(".token.up").first).to_be_visible()  # the tokens arrive from the worker
    table.get_by_role("button", name=re.compile(r"^neuron \d+, activation")).first.click()
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code")).to_have_text(cell_of("blocks.1.mlp_post"))
    table.locator(".token.up").first.click()
    expect(why.locator("code")).to_have_text(cell_of("logits"))
    name = table.get_by_role("button", name=re.compile(r"^neuron \d+$")).first
    name.click()
    expect(name).to_have_attribute("aria-pressed", "true")


def test_the_block_changes_the_picture(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="mlp", layer=1), as_is=True)
    tab.page.get_by_role("button", name="Previous block").click()
    expect(tab.page.get_by_text("in block 1", exact=False).first).to_be_visible()
    table = tab.page.get_by_role("table", name="Neurons with the largest outputs")
    expect(table.get_by_role("row")).to_have_count(9)
    before = table.inner_text()
    tab.page.get_by_role("button", name="Next block").click()
    tab.until(lambda: table.inner_text() != before)
    expect(tab.page.get_by_text("in block 2", exact=False).first).to_be_visible()


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="mlp", layer=1), width, 844, dark=bool(dark), as_is=True)
    table = tab.page.get_by_role("table", name="Neurons with the largest outputs")
    expect(table).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    said = tab.page.locator(".neuron-list .head .tokens, .neuron-list .narrow").filter(visible=True)
    assert said.count() in (1, table.get_by_role("row").count() - 1), (
        "“promotes” heads the column, or else stands in each row"
    )
