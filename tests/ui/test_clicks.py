"""One contract for clicks: what is asked for opens and comes into sight, a second time too; ✕ and Esc close it; nothing lies over its neighbour."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.sweeping import apart, first
from tests.ui.conftest import SMALL, Server, Tab

TEXT = "CBABBC="
SIZES = [(1440, 900), (390, 844)]


def opened(page: Page) -> str:
    """Id of the tab whose view is unfolded."""
    return page.locator("[role=tab][aria-selected=true]").get_attribute("data-id") or ""


def in_sight(page: Page) -> bool:
    """Whether the view that is open can be seen: on a phone as the sheet, else enough of it below what was clicked."""
    if page.get_by_role("dialog").count():
        return True
    box = page.locator(".tx-unfolded .leaf:not(.folded)").bounding_box()
    return box is not None and -60 <= box["y"] < 0.72 * (page.viewport_size or {"height": 0})["height"]


def close_sheet(page: Page) -> None:
    sheet = page.get_by_role("dialog")
    if sheet.count():
        sheet.get_by_role("button", name="Close", exact=True).click()
        expect(sheet).to_have_count(0)


def asks_twice(tab: Tab, what: Locator, before: Callable[[], None]) -> str:
    """A first click opens, a second one leaves it open; after both it is in sight. Returns which view it is."""
    before()
    what.click()
    tab.until(lambda: in_sight(tab.page), f"{what} is opened and in sight")
    tab.page.wait_for_timeout(150)
    now = opened(tab.page)
    assert now
    close_sheet(tab.page)
    before()
    what.click()
    tab.until(lambda: in_sight(tab.page), f"{what} is in sight again")
    tab.page.wait_for_timeout(150)
    assert opened(tab.page) == now, "a second click closes nothing"
    close_sheet(tab.page)
    return now


@pytest.mark.parametrize(("width", "height"), first(1, SIZES))
def test_every_heading_and_tab_opens_and_stays_open(
    server: Server, new_tab: Callable[..., Tab], kept: Callable[..., Tab], width: int, height: int
) -> None:
    if width == 1440:
        tab = kept(server.address(text=TEXT), width, height, as_is=True)
    else:
        tab = new_tab(width, height, reduced_motion="reduce").open(server.address(text=TEXT))
    page = tab.page
    headings = page.locator(".heading:not([aria-disabled=true])")
    assert headings.count() == 5
    for i in range(headings.count()):
        now = asks_twice(tab, headings.nth(i).locator("b"), tab.top)
        name = headings.nth(i).locator("b").inner_text().removesuffix(" ▾")
        expect(page.locator(f"[role=tab][data-id='{now}']")).to_have_text(name)  # the same as the heading's
    tabs = page.get_by_role("tab")
    for i in range(tabs.count()):
        tabs.nth(i).click()
        expect(tabs.nth(i)).to_have_attribute("aria-selected", "true")
        close_sheet(page)
        tabs.nth(i).click()
        page.wait_for_timeout(150)
        expect(tabs.nth(i)).to_have_attribute("aria-selected", "true")
        tab.until(lambda: in_sight(page), "the view of the tab is in sight")
        close_sheet(page)


@pytest.mark.sweep
@pytest.mark.parametrize("width", first(1, [1440, 1300, 1920]))
def test_captions_do_not_overlap_and_each_can_be_clicked(server: Server, kept: Callable[..., Tab], width: int) -> None:
    tab = kept(server.address(text=TEXT), width, as_is=True)
    page = tab.page
    captions = page.locator(".captions button")
    assert captions.count() >= 8
    boxes = [captions.nth(i).bounding_box() for i in range(captions.count())]
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert one is not None
            assert other is not None
            apart = (
                one["x"] + one["width"] <= other["x"] + 0.5
                or other["x"] + other["width"] <= one["x"] + 0.5
                or one["y"] + one["height"] <= other["y"] + 0.5
                or other["y"] + other["height"] <= one["y"] + 0.5
            )
            assert apart, "hit areas lie over each other"
    for i in range(captions.count()):
        asks_twice(tab, captions.nth(i), tab.top)


def test_badges_and_strips_open_too_and_escape_closes(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(1440, 900, reduced_motion="reduce").open(server.address(text=TEXT, view="mlp"))
    page = tab.page
    badge = """(flow) => { const {L} = flow.flow; return [L.at.qkv.x + 10, L.y0] }"""
    x, y = page.locator(".flow").evaluate(badge)
    canvas = page.locator("canvas.picture")
    canvas.hover(position={"x": x, "y": y})
    expect(page.locator(".flow .tip b")).to_have_text("Key of “C”")
    expect(page.locator(".flow .tip code")).to_contain_text("blocks.0.k [kv_head 0, token 0]")
    canvas.click(position={"x": x, "y": y})
    tab.until(lambda: opened(page) == "attention")
    tab.until(lambda: in_sight(page))
    tab.top()
    x, y = page.locator(".flow").evaluate("(flow) => { const {L} = flow.flow; return [L.at.mlp.m, L.y0] }")
    canvas.click(position={"x": x, "y": y})
    tab.until(lambda: opened(page) == "mlp")
    tab.until(lambda: in_sight(page))
    why = page.get_by_role("region", name="why this number")
    expect(why).to_be_visible()
    why.get_by_role("button", name="Close this card").click()
    page.get_by_role("tab", selected=True).press("Escape")
    expect(page.get_by_role("tab", selected=True)).to_have_count(0)


def test_tooltips_begin_with_words_before_the_tensor_name(server: Server, tab: Tab) -> None:
    page = tab.open(server.address(text=TEXT, layer=1, head=2, view=SMALL)).page
    x, y = page.locator(".flow").evaluate(
        "(flow) => { const {L} = flow.flow; return [L.c0 + 2 * L.pitch, L.y0 + 4 * L.gap] }"
    )
    page.locator("canvas.picture").hover(position={"x": x, "y": y})
    tip = page.locator(".flow .tip")
    expect(tip.locator("span")).to_have_text("Attention weight of the query “B” on the key “A”. Block 2, head 3.")
    expect(tip.locator("code")).to_have_text("blocks.1.pattern [head 2, query 4, key 2]")
    drawn = page.locator(".nextlist .sampled")  # and why just this one is suggested
    expect(drawn).to_have_attribute(
        "title", re.compile(r"drawn: seed \d+ gives u = 0\.\d+, which falls into its interval$")
    )
    words, code = tip.locator("span").bounding_box(), tip.locator("code").bounding_box()
    assert words is not None
    assert code is not None
    assert words["y"] < code["y"]


@pytest.mark.sweep
@pytest.mark.parametrize(
    "places",
    [[(6, 5), (0, 0), (6, 5)], apart([(6, 5), (6, 6), (0, 0), (1, 0), (3, 2), (3, 3), (6, 5)])],
    ids=["some", "more"],
)
def test_the_card_covers_neither_the_clicked_part_nor_the_next_tokens(
    server: Server, new_tab: Callable[..., Tab], places: list[tuple[int, int]]
) -> None:
    """Each card finds a place of its own, also the next one on a page where another was closed."""
    tab = new_tab(1440, 900, reduced_motion="reduce").open(server.address(text=TEXT))
    heights = [covers_nothing(tab, place) for place in places]
    assert heights[0] == pytest.approx(heights[-1], abs=2)
    assert min(heights) > 200


def covers_nothing(tab: Tab, place: tuple[int, int]) -> float:
    """Opens the card of a cell, looks where it lies, and closes it; its height."""
    page = tab.page
    query, key = place
    cell = f"(flow) => {{ const {{L}} = flow.flow; return [L.c0 + {key} * L.pitch, L.y0 + {query} * L.gap] }}"
    x, y = page.locator(".flow").evaluate(cell)
    canvas = page.locator("canvas.picture")
    canvas.click(position={"x": x, "y": y})
    why = page.get_by_role("region", name="why this number")
    expect(why).to_be_visible()
    page.wait_for_timeout(600)
    card, at = why.bounding_box(), canvas.bounding_box()
    assert card is not None
    assert at is not None
    clicked = {"x": at["x"] + x - 12, "y": at["y"] + y - 12, "width": 24, "height": 24}
    for name, box in (
        ("what was clicked", clicked),
        ("the most likely token", page.locator(".nextlist .next").first.bounding_box()),
        ("the last one", page.locator(".nextlist .next").last.bounding_box()),
        ("the legend", page.locator(".flow .legend").bounding_box()),
    ):
        assert box is not None
        apart = (
            card["x"] + card["width"] <= box["x"]
            or box["x"] + box["width"] <= card["x"]
            or card["y"] + card["height"] <= box["y"]
            or box["y"] + box["height"] <= card["y"]
        )
        assert apart, f"the card lies over {name}: {card} {box}"
    why.locator(".term button").first.press("Escape")
    expect(why).to_be_hidden()
    return float(card["height"])


def test_without_lessons_start_here_opens_the_guide_and_escape_closes_it(
    server: Server, kept: Callable[..., Tab]
) -> None:
    for width in (1440, 390):
        tab = kept(server.address(text=TEXT), width, as_is=True)
        page = tab.page
        expect(page.get_by_text("See every number a real language model uses")).to_be_visible()
        start = page.get_by_role("button", name="Start here")
        start.focus()
        page.locator(".flow").dispatch_event("tx-guide", {})  # as on a saved page
        guide = page.get_by_role("dialog", name="What you see here")
        expect(guide.locator("li")).to_have_count(5)
        best = page.locator(".nextlist .next b").first.inner_text()
        expect(guide).to_contain_text(re.compile(rf"most likely one here is “{re.escape(best)}”"))
        expect(guide).to_contain_text("7 tokens")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Escape")
        expect(guide).to_be_hidden()
        expect(start).to_be_focused()
        expect(page.get_by_role("tab", selected=True)).to_have_count(1)  # nothing else was closed


def test_the_legend_unfolds_with_an_explanation_of_each_sign(server: Server, kept: Callable[..., Tab]) -> None:
    page = kept(server.address(text=TEXT), as_is=True).page
    assert page.locator(".flow .legend > span").count() == 5
    page.get_by_role("button", name="all symbols").click()
    signs = page.get_by_role("region", name="all symbols")
    expect(signs).to_be_visible()
    assert signs.locator("dd").count() >= 9
    for text in signs.locator("dd").all_inner_texts():
        assert len(text) > 30
    page.get_by_role("button", name="all symbols").click()
    expect(signs).to_be_visible()
    page.keyboard.press("Escape")
    expect(signs).to_be_hidden()


SCROLLED = """async (tab) => {
  let box = tab
  while (box && !(box.scrollHeight > box.clientHeight + 4 && /auto|scroll/.test(getComputedStyle(box).overflowY)))
    box = box.assignedSlot ?? box.parentElement ?? box.getRootNode().host
  box.scrollTo({top: 0, behavior: "instant"})
  const frame = () => new Promise(requestAnimationFrame)
  tab.click()
  for (let i = 0; box.scrollTop < 8; i++) {
    if (i > 600) throw Error("the view that was opened is not scrolled to")
    await frame()
  }
  if (window.presses) tab.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true, composed: true}))
  await frame()
  await frame()
  const then = box.scrollTop
  await new Promise((resolve) => setTimeout(resolve, 1500))
  return [then, box.scrollTop]
}"""


def test_the_page_stops_scrolling_where_a_button_is_pressed(server: Server, new_tab: Callable[..., Tab]) -> None:
    """What moves away between press and release gets no click: a tab that was clicked while the page went to the view before stayed closed."""
    tab = new_tab().open(server.address(text=TEXT))
    mlp = tab.page.get_by_role("tab", name="MLP")
    mlp.click()
    expect(mlp).to_have_attribute("aria-selected", "true")
    tab.page.wait_for_timeout(1500)
    begun, came_to = mlp.evaluate(SCROLLED)
    assert came_to > begun + 60, "without a press it goes on to the view"
    tab.page.evaluate("window.presses = true")
    begun, stopped = mlp.evaluate(SCROLLED)
    assert stopped == begun < came_to - 60
