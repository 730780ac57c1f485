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


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_nothing_sticks_out(server: Server, new_tab: Any, width: int, dark: int) -> None:
    tab = new_tab(width, 844).open(server.address(text=TEXT, view="softmax", dark=dark))
    expect(tab.page.locator("tr.rest")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
