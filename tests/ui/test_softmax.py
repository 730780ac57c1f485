"""The softmax view in Chromium: rows and others add up, any token is found, a logit is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.sweeping import first
from tests.ui.conftest import Server, Tab
from tests.ui.tab import cell_of

TEXT = "CBABBC="


@pytest.fixture
def tab(server: Server, kept: Callable[..., Tab]) -> Tab:
    """The view of what follows on the whole text."""
    tab = kept(server.address(text=TEXT, view="softmax"), as_is=True)
    tab.page.locator("button.token").last.click()
    expect(tab.page.get_by_role("heading", name="What comes after “=”?")).to_be_visible()
    return tab


def test_rows_and_others_add_up(tab: Tab) -> None:
    expect(tab.page.locator("tr.rest")).to_be_visible()
    shares = tab.page.locator("tbody td.p[data-p]").evaluate_all("cells => cells.map((x) => Number(x.dataset.p))")
    assert len(shares) == 21
    assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_a_click_on_a_logit_opens_its_card(tab: Tab) -> None:
    tab.page.locator('td[data-tensor="logits"] button').first.click()
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code").first).to_have_text(cell_of("logits"))
    tab.page.locator("button.token").nth(2).click()
    expect(tab.page.get_by_role("heading", name="What comes after “A”?")).to_be_visible()
    lights = tab.page.locator(".tx-unfolded .lit")  # the flow lights its own list, when it is on the screen
    expect(lights).to_have_count(0)  # that was another token's
    for click, name, lit in (
        (tab.page.locator("td.p button").nth(1), "probs", 5),
        (tab.page.locator(".fact button").nth(3), "probs.entropy", 9),
    ):
        shown = click.inner_text().split()[0]
        click.click()
        expect(why.locator("code").first).to_have_text(cell_of(f"lens.3.2.{name}"))
        expect(lights).to_have_count(lit)  # the number, and what it is made of
        expect(why.locator(".check")).to_contain_text("recomputed")
        value = float(why.locator("strong").first.inner_text())
        assert value == pytest.approx(float(shown) / (100 if name == "probs" else 1), rel=5e-3)


def number(text: str) -> float:
    """What the page writes, as a number."""
    return float(text.replace("−", "-").replace(",", "").removesuffix(" %"))


@pytest.mark.parametrize("token", first(1, [None, 2]))
def test_every_step_of_the_table_and_the_other_tokens_open_their_card(tab: Tab, token: int | None) -> None:
    pre = ""
    if token is not None:
        tab.page.locator("button.token").nth(token).click()
        pre = f"lens.3.{token}."
    why = tab.page.get_by_role("region", name="why this number")
    table = tab.page.locator(".tx-unfolded table").filter(has=tab.page.locator("tr.rest"))
    row, rest = table.locator("tbody tr").nth(1), table.locator("tr.rest")
    for cell, name, lit, operands in (
        (row.locator('[data-tensor="probs.shifted"]'), "probs.shifted", 2, ["logits", "max"]),
        (row.locator('[data-tensor="probs.exp"]'), "probs.exp", 2, ["e^("]),
        (rest.locator('[data-tensor="probs.exp"]'), "probs.exp.others.20", 1, ["others"]),
        (rest.locator("td.p"), "probs.others.20", 1, ["others"]),
        (table.locator('tfoot [data-tensor="probs.sum"]'), "probs.sum", 9, ["others"]),
    ):
        button = cell.get_by_role("button")
        button.focus()
        button.press("Enter")  # as the keyboard does
        expect(why.locator("code").first).to_have_text(cell_of(pre + name))
        expect(why.locator(".check")).to_contain_text("recomputed")
        expect(table.locator(".lit")).to_have_count(lit)
        expect(cell).to_have_class(re.compile(r"\blit\b"))
        expect(button).to_be_focused()  # the lights came, and the focus is still there
        value = number(why.locator("strong").first.inner_text())
        assert value == pytest.approx(float(cell.get_attribute("title") or "nan"), rel=1e-3)
        for text in operands:
            expect(why.locator("li").filter(has_text=text).first).to_be_visible()
        assert why.locator("li.term").count() <= 10  # never a vocabulary
    row.locator('[data-tensor="probs.exp"] button').click()
    why.locator("li.term button").first.click()  # down: the power, what was raised, the logit
    expect(why.locator("code").first).to_have_text(cell_of(f"{pre}probs.shifted"))
    why.locator("li.term button").filter(has_text="logits").click()
    expect(why.locator("code").first).to_have_text(cell_of(f"{pre}logits"))


def test_a_bin_of_logits_opens_its_card(tab: Tab) -> None:
    figure = tab.page.get_by_role("application", name=re.compile("Histogram of the logits"))
    figure.focus()
    figure.press("End")  # of the bars below: the most likely tokens
    figure.press("Enter")
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code").first).to_have_text(cell_of("probs.bins"))
    expect(why).to_contain_text("Tokens with a logit from")
    expect(why.locator(".check")).to_contain_text("recomputed")


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="softmax"), width, 844, dark=bool(dark), as_is=True)
    expect(tab.page.locator("tr.rest")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
