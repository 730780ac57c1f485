"""The softmax view in Chromium: rows and others add up, any token is found, a logit is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="


def test_rows_and_others_add_up(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="softmax"))
    expect(tab.page.locator("tr.rest")).to_be_visible()
    shares = tab.page.locator("tbody td.p[data-p]").evaluate_all("cells => cells.map((x) => Number(x.dataset.p))")
    assert len(shares) == 21
    assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_a_logit_is_asked_for(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="softmax"))
    tab.page.locator("td.logit button").first.click()
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code").first).to_have_text("logits")
    tab.page.get_by_role("combobox", name="Token", exact=True).select_option("2")
    expect(tab.page.get_by_role("heading", name="What comes after “A”?")).to_be_visible()
    lights = tab.page.locator(".tx-unfolded .lit")  # the flow lights its own list, when it is on the screen
    expect(lights).to_have_count(0)  # that was another token's
    for click, name, lit in (
        (tab.page.locator("td.p button").nth(1), "probs", 4),
        (tab.page.locator(".fact button").nth(3), "probs.entropy", 9),
    ):
        shown = click.inner_text().split()[0]
        click.click()
        expect(why.locator("code").first).to_have_text(f"lens.3.2.{name}")
        expect(lights).to_have_count(lit)  # the number, and what it is made of
        expect(why.locator(".check")).to_contain_text("recomputed")
        value = float(why.locator("strong").first.inner_text())
        assert value == pytest.approx(float(shown) / (100 if name == "probs" else 1), rel=5e-3)


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_nothing_sticks_out(server: Server, new_tab: Any, width: int, dark: int) -> None:
    tab = new_tab(width, 844).open(server.address(text=TEXT, view="softmax", dark=dark))
    expect(tab.page.locator("tr.rest")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
