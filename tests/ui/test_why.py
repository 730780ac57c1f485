"""Asking why, in the browser, with the keyboard alone: from a strip to a weight and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

import txpanel
from tests.ui.conftest import Server, Tab
from tests.ui.tab import cell_of

TEXT = "CBABBC="


@pytest.fixture(scope="module")
def trace() -> Any:
    return txpanel.load("nano").trace(TEXT)


def number(shown: str) -> float:
    """What a person reads as a number."""
    return float(shown.replace("−", "-").replace(",", ""))


@pytest.fixture
def below(server: Server, kept: Callable[..., Tab]) -> Callable[..., Tab]:
    """The residual stream of the first block, at a width; no card is open."""

    def at(width: int = 1440, height: int = 900, *, dark: bool = False) -> Tab:
        tab = kept(server.address(text=TEXT, view="residual", layer=0), width, height, dark=dark, as_is=True)
        closing = tab.page.get_by_role("button", name="Close this card")
        if closing.count():
            closing.click()
        expect(card(tab)).to_be_hidden()
        if "layer=1" in tab.page.url:
            tab.page.get_by_role("button", name="Previous block").click()
        return tab

    return at


def card(tab: Tab) -> Locator:
    return tab.page.get_by_role("region", name="why this number")


def ask(tab: Tab, strip: str, steps: int) -> tuple[int, float]:
    """Walks along a strip with the arrow keys and asks for the number there; gives back its place and value."""
    line = tab.page.get_by_role("slider", name=re.compile(strip)).first
    line.focus()
    line.press("Home")
    for _step in range(steps):
        line.press("ArrowRight")
    where = line.get_attribute("aria-valuetext") or ""
    line.press("Enter")
    return int(line.get_attribute("aria-valuenow") or -1), number(where.rpartition("= ")[2])


def test_from_a_strip_to_a_weight_with_the_keyboard(server: Server, tab: Tab, trace: Any) -> None:
    tab.open(server.address(text=TEXT, view="residual", layer=1))
    place, shown = ask(tab, "MLP output", 5)
    last = len(trace.tokens.ids) - 1
    assert place == 5
    assert shown == pytest.approx(float(trace["blocks.1.mlp_out"][last, 5]), rel=1e-3)
    why = card(tab)
    expect(why.locator("code")).to_have_text(cell_of("blocks.1.mlp_out"))
    expect(why.get_by_text("✓ recomputed")).to_be_visible()
    assert number(why.locator(".number strong").inner_text()) == pytest.approx(shown, rel=1e-3)
    first = why.locator(".term button").first
    first.focus()
    first.press("Enter")
    expect(why.locator("code")).to_have_text(cell_of("blocks.1.mlp_post"))
    why.get_by_role("button", name="Back to the number before").press("Enter")
    expect(why.locator("code")).to_have_text(cell_of("blocks.1.mlp_out"))
    weight = why.locator(".term").first.locator("button").nth(1)
    weight.focus()
    weight.press("Enter")
    expect(why.locator("code")).to_have_text(re.compile(r"\.weight \["))
    expect(why.get_by_text("learned in training")).to_be_visible()
    why.get_by_role("navigation").get_by_role("button").first.press("Enter")
    expect(why.locator("code")).to_have_text(cell_of("blocks.1.mlp_out"))


@pytest.mark.sweep
def test_the_keyboards_place_in_a_strip_stays_when_its_numbers_change(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="residual", layer=0))
    line = tab.page.get_by_role("slider", name=re.compile("MLP output")).first
    line.focus()
    line.press("Home")
    for _step in range(5):
        line.press("ArrowRight")
    before = line.get_attribute("aria-valuetext") or ""
    tab.page.locator("button.token").nth(2).evaluate("(button) => button.click()")  # which leaves the focus where it is
    expect(line).not_to_have_attribute("aria-valuetext", before)
    expect(line).to_be_focused()
    expect(line).to_have_attribute("aria-valuenow", "5")
    tab.page.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "6")


def test_a_product_can_be_stepped_and_ends_at_the_value(below: Callable[..., Tab], trace: Any) -> None:
    tab = below()
    ask(tab, "MLP output", 3)
    why = card(tab)
    why.locator(".product summary").press("Enter")
    last = len(trace.tokens.ids) - 1
    terms = trace.why("blocks.0.mlp_out", token=last, feature=3)
    expect(why.locator(".readout")).to_contain_text(f"{len(terms.terms) - 1} / {len(terms.terms) - 1}")
    ends = number(why.locator(".readout .end").inner_text().removeprefix("Σ "))
    assert ends == pytest.approx(terms.value, rel=1e-3)
    slider = why.get_by_role("slider", name="Step of the product")
    slider.focus()
    slider.press("Home")
    expect(why.locator(".readout")).to_contain_text("The sum starts")
    why.get_by_role("button", name="One step forward").press("Enter")
    expect(why.locator(".readout")).to_contain_text("step 1 /")
    row, column = (number(b.inner_text()) for b in why.locator(".readout button").all())
    post = trace["blocks.0.mlp_post"].values[last, 0]
    assert row == pytest.approx(float(post), rel=1e-3, abs=1e-6)
    assert np.isfinite(column)
    why.get_by_role("button", name="To the end").press("Enter")
    assert number(why.locator(".readout .end").inner_text().removeprefix("Σ ")) == ends


@pytest.mark.sweep
def test_what_a_number_feeds_and_two_cards_side_by_side(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="residual", layer=0))
    ask(tab, "attention output", 2)
    why = card(tab)
    why.get_by_role("button", name="Pin this card").click()
    expect(why.locator("article")).to_have_count(2)
    why.locator(".feeds summary").first.click()
    why.locator(".feeds").first.get_by_role("button", name="resid_mid").click()
    expect(why.locator("code").first).to_have_text(cell_of("blocks.0.resid_mid"))
    expect(why.locator("code").nth(1)).to_have_text(cell_of("blocks.0.attn_out"))
    why.get_by_role("button", name="remove this card").click()
    expect(why.locator("article")).to_have_count(1)

    tab.until(lambda: "why=blocks.0.resid_mid" in tab.page.url, "the link asks the same")
    tab.page.reload()
    expect(why.locator("code")).to_have_text(cell_of("blocks.0.resid_mid"))
    expect(why.get_by_text("✓ recomputed")).to_be_visible()
    tab.page.goto(server.address(text=TEXT, view="residual", why="no.such~token-1"))
    expect(why).to_contain_text("no tensor named 'no.such'")
    expect(tab.alert).to_have_count(0)


REBUILD = """() => { // what the server would say as it draws the cards again
  const visit = (view) => [view, ...(view.child_views ?? []).flatMap(visit)]
  const found = Bokeh.index.roots.flatMap(visit).filter((view) => view.model.data?.cards && "version" in view.model.data)
  for (const {model} of found) model.data.version += 1000 // the server does not take it, and goes on counting by itself
  return found.length
}"""


def test_a_click_is_not_lost_when_the_card_is_drawn_again_or_would_move(below: Callable[..., Tab]) -> None:
    tab = below()
    ask(tab, "attention output", 2)
    why = card(tab)
    expect(why.get_by_text("✓ recomputed")).to_be_visible()
    pin = why.get_by_role("button", name="Pin this card")
    tab.page.wait_for_timeout(500)
    box = pin.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.mouse.down()
    assert tab.page.evaluate(REBUILD) == 1
    tab.page.set_viewport_size({"width": 1440, "height": int(box["y"] + box["height"] + 20)})  # its place is below now
    tab.page.wait_for_timeout(300)
    assert pin.bounding_box() == box
    tab.page.mouse.up()
    expect(why.locator("article")).to_have_count(2)
    tab.until(lambda: pin.bounding_box() != box, "when the hand is off, the cards move to where they are in sight")
    why.get_by_role("button", name="remove this card").click()
    expect(why.locator("article")).to_have_count(1)


def test_a_value_is_copied_with_all_digits(below: Callable[..., Tab], trace: Any) -> None:
    tab = below()
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(tab, "attention output", 2)
    card(tab).get_by_role("button", name="Copy this value").click()
    expect(card(tab).get_by_text("Copied").first).to_be_visible()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert np.float32(copied) == trace["blocks.0.attn_out"].values[len(trace.tokens.ids) - 1, 2]


def test_the_numbers_of_the_open_card_are_marked_in_the_picture(below: Callable[..., Tab]) -> None:
    tab = below()
    ask(tab, "block output", 4)
    expect(card(tab).locator("code")).to_have_text(cell_of("blocks.0.resid_post"))
    expect(tab.page.locator(".strip .lit")).to_have_count(
        3
    )  # the cell itself, the stream before it, and what was added


def in_sight(part: Locator, least: float) -> bool:
    """Whether at least so many pixels of it stand between the bar and the lower edge of the screen."""
    box, window = part.bounding_box(), part.page.viewport_size
    return (
        box is not None and window is not None and min(box["y"] + box["height"], window["height"]) - box["y"] >= least
    )


@pytest.mark.sweep
def test_the_opened_card_and_the_opened_view_are_in_sight(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(1440, 900, reduced_motion="reduce").open(server.address(text=TEXT))
    why = card(tab)
    pattern = tab.page.locator("[aria-label^='Attention pattern']").first
    pattern.press("Enter")
    expect(why.locator("code")).to_have_text(re.compile("pattern"))
    tab.until(lambda: in_sight(why, 250), "the card lies in the corner while its place is below the screen")
    first = why.bounding_box()
    assert first is not None
    listed = tab.page.locator(".nextlist .next").first.bounding_box()
    assert listed is not None
    assert first["x"] + first["width"] <= listed["x"]  # not over the answer
    assert first["y"] + first["height"] <= 900
    why.get_by_role("button", name="Pin this card").click()
    why.locator("article").first.locator(".term button").first.click()
    expect(why.locator("article").first.locator("code")).not_to_have_text(re.compile("pattern"))
    left, right = (one.bounding_box() for one in why.locator("article").all())
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"], "side by side"
    tab.until(lambda: in_sight(why.locator("article").first, 200), "the card that walks on stays in sight")
    why.get_by_role("button", name="remove this card").press("Enter")
    why.locator(".term button").first.press("Escape")
    expect(why).to_be_hidden()
    expect(tab.page.get_by_role("tab", selected=True)).to_have_text("Attention")  # only the card went
    tab.page.locator(".heading[data-part=mlp]").click()
    view = tab.page.locator(".tx-unfolded .leaf:not(.folded)")
    expect(tab.page.get_by_role("tab", selected=True)).to_have_text("MLP")
    tab.until(lambda: in_sight(view, 300), "a view that was opened comes into sight")
    tab.until(lambda: in_sight(tab.page.locator(".flow"), 900 - 560), "and part of the flow stays there")
    strip = tab.page.locator(".tx-unfolded").get_by_role("slider").first
    strip.press("Enter")
    expect(why).to_be_visible()
    tab.page.locator(".tx-unfolded").get_by_role("button", name="numbers and files").filter(
        visible=True
    ).last.scroll_into_view_if_needed()
    tab.until(lambda: in_sight(why, 250) and (why.bounding_box() or {"y": 0})["y"] > 40, "it goes along with the view")


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_card_fits(below: Callable[..., Tab], width: int, dark: int) -> None:
    tab = below(width, 844, dark=bool(dark))
    ask(tab, "MLP output", 2)
    expect(card(tab).locator("code")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
