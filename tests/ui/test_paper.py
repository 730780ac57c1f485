"""On paper: the whole page, nothing cut, dark on white, however it looks on the screen; and afterwards the screen as before."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="
LOOK = """(what) => {
  const found = []
  const look = (root) => { for (const node of root.querySelectorAll("*")) {
    if (node.matches(what) && node.offsetHeight && node.checkVisibility()) found.push(node)
    if (node.shadowRoot) look(node.shadowRoot)
  } }
  look(document)
  return found.map((node) => ({
    filter: node.style.filter, zoom: Number(node.style.zoom) || 1, height: node.offsetHeight, begins: node.style.breakBefore,
    scheme: getComputedStyle(node).colorScheme,
  }))
}"""


def test_print_gives_the_whole_page(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(1440, 900, reduced_motion="reduce").open(server.address(text=TEXT, view="mlp"))
    page = tab.page
    heights = """() => {
      const found = (name) => { const look = (root) => { for (const at of root.querySelectorAll("*")) {
        if (at.matches(name)) return at
        const inner = at.shadowRoot && look(at.shadowRoot)
        if (inner) return inner
      } }; return look(document) }
      return [document.documentElement.scrollHeight, found(".main-content").scrollHeight, found(".main-content").clientHeight]
    }"""
    _whole, content, window = page.evaluate(heights)
    assert content > 1.3 * window, "on the screen the page scrolls"
    page.emulate_media(media="print")
    whole, content, shown = page.evaluate(heights)
    assert shown == content
    assert whole >= content - 1
    pages = page.pdf(format="A3", landscape=True, print_background=True).count(b"/Type /Page\n")
    assert pages >= 2


@pytest.mark.sweep
def test_printing_waits_for_pictures_that_were_never_scrolled_to(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(1440, 500, reduced_motion="reduce").open(server.address(text=TEXT, view="mlp"))
    page = tab.page
    more = page.locator(".tx-unfolded").get_by_role("status").filter(has_text="More pictures are loading", visible=True)
    expect(more).to_have_count(1)
    page.evaluate("() => { window.print = () => { window.printed = (window.printed ?? 0) + 1 } }")
    page.keyboard.press("Control+p")
    page.keyboard.press("Control+p")  # impatient
    tab.until(lambda: page.evaluate("window.printed"), "it is printed")
    assert more.count() == 0
    drawn = page.locator(".tx-unfolded canvas.bk-layer").filter(visible=True)
    assert drawn.count() > 1
    inked = """(canvas) => !canvas.width || canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"""
    figures = page.locator(".tx-unfolded .bk-Canvas").filter(visible=True)
    for i in range(figures.count()):
        layers = figures.nth(i).locator("canvas")
        assert any(layers.nth(k).evaluate(inked) for k in range(layers.count())), f"picture {i} is painted"
    assert page.evaluate("window.printed") == 1


@pytest.mark.sweep
def test_a_dark_page_prints_dark_on_white_at_its_width_with_each_card_on_one_page(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(1440, 900, color_scheme="dark", reduced_motion="reduce")
    page = tab.open(server.address(text=TEXT, view="attention")).page
    tab.look_at_all()
    tall = page.evaluate(LOOK, ".tx-card")
    assert max(card["height"] for card in tall) > 300
    assert {one["filter"] for one in page.evaluate(LOOK, "canvas")} == {""}
    page.set_viewport_size({"width": 1440, "height": 500})
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--tx-paper-width')") == "1440px"
    pictures = page.evaluate(LOOK, "canvas")
    assert len(pictures) > 5
    assert all("invert" in one["filter"] for one in pictures), "what is painted for the dark is turned over"
    for card in page.evaluate(LOOK, ".tx-card"):
        assert card["height"] * card["zoom"] <= 1440 * 0.7 or card["zoom"] == 1, (
            "a landscape page holds it, or it goes on"
        )
    if any(card["height"] > 1440 * 0.9 for card in tall):
        assert "page" in {one["begins"] for one in page.evaluate(LOOK, ".tx-picture")}, "between two of its pictures"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).width") == "1440px"
    assert "dark" not in {one["scheme"] for one in page.evaluate(LOOK, ".main-content, .tx-card, .flow")}
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert {(one["filter"], one["zoom"]) for one in page.evaluate(LOOK, "canvas, .tx-card")} == {("", 1)}
    page.evaluate("addEventListener('beforeprint', () => { window.printed = true })")
    paper = page.pdf(prefer_css_page_size=True)
    assert page.evaluate("window.printed"), "the browser says so before it prints"
    (width, height), *_more = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert float(width) > float(height), "the page is landscape"
    assert {one["filter"] for one in page.evaluate(LOOK, "canvas")} == {""}


@pytest.mark.sweep
def test_a_light_page_keeps_its_colours_on_paper(server: Server, new_tab: Callable[..., Tab]) -> None:
    page = new_tab(1920, 900, color_scheme="light").open(server.address(text=TEXT, view="mlp")).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert {one["filter"] for one in page.evaluate(LOOK, "canvas")} == {""}
    page.emulate_media(media="print")
    assert float(page.evaluate("getComputedStyle(document.body).zoom")) < 0.8, (
        "a wide window fits on upright paper, too"
    )
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.main-content') ?? document.body).printColorAdjust")
        == "exact"
    )
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.set_viewport_size({"width": 390, "height": 844})  # a phone's sheet stands upright, and is as narrow
    paper = page.pdf(prefer_css_page_size=True)
    (width, height), *_more = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert float(width) < float(height)
    assert float(width) == pytest.approx((390 + 24) * 0.75, abs=2), "in points: no side of it is blank"
    assert page.evaluate("document.adoptedStyleSheets.every((one) => !one.cssRules[0]?.cssText.includes('@page'))")
