"""The attention view in Chromium: pictures follow the head, a click on a cell asks why, nothing is rebuilt."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.sweeping import first
from tests.ui.conftest import BUNDLE, Server, Tab
from tests.ui.tab import cell_of
from txpanel.models.language_model import LanguageModel

TEXT = "CBABBC="
FIND = """
(name) => {
  for (const model of Bokeh.documents.flatMap((doc) => [...doc.all_models]))
    if (model.type === "GlyphRenderer" && model.glyph.type === "Image" && model.data_source.data.image?.length) {
      const place = [...model.document.all_models].find((one) => one.type === "HoverTool" && one.renderers?.[0] === model)
      if (place && place.formatters.$y?.args.name === name) {
        const image = model.data_source.data.image[0]
        return Array.from(image)
      }
    }
  return null
}
"""

FLOW_FIRST = """
async () => {
  const {waiting, laysOutLocally} = BUNDLE
  const deep = (root) => root.querySelector(".flow") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && deep(e.shadowRoot)).find(Boolean)
  let figures = []
  const visit = (view) => { if (view.model.type === "Figure") figures.push(view); for (const child of view.child_views ?? []) visit(child) }
  const painted = () => figures.reduce((n, one) => n + one._render_count, 0)
  for (let still = 0, n = -1; still < 30; still++) { // the page stands: what it was built with is painted
    await new Promise(requestAnimationFrame)
    figures = []
    for (const root of Bokeh.index.roots) visit(root)
    if (waiting() || painted() !== n) { still = 0; n = painted() }
  }
  const flow = deep(document), was = flow.dataset.shows, before = painted()
  flow.querySelector("button.head[data-head='2']").click()
  while (flow.dataset.shows === was) await new Promise(requestAnimationFrame)
  const then = painted()
  while (painted() === then || waiting()) await new Promise(requestAnimationFrame)
  return [figures.length, then - before, painted() - then, laysOutLocally]
}
""".replace("BUNDLE", BUNDLE)


def shown(page: Page, name: str) -> Any:
    """The numbers that the browser holds for a picture, by the tensor name in its hover."""
    return page.evaluate(FIND, name)


def holds(tab: Tab, nano: LanguageModel, layer: int, head: int) -> None:
    """Waits until the browser's pattern and scores are those of the trace."""
    trace = nano.trace(TEXT)
    for part in ("scores", "pattern"):
        name = f"blocks.{layer}.{part}[{head}, {{r}}, {{c}}]"
        tab.until(lambda name=name: shown(tab.page, name) is not None, name)  # type: ignore[misc]
        found = np.array(shown(tab.page, name), np.float32)
        expected = trace.head_map(layer, head, part)
        seen = np.isfinite(found.reshape(expected.shape))
        # another process, maybe another order of summation: a few of float32's last bits
        np.testing.assert_allclose(found.reshape(expected.shape)[seen], expected[seen], rtol=1e-5, atol=1e-6)
        assert seen.sum() == (len(expected) * (len(expected) + 1) // 2 if part == "pattern" else expected.size)


def test_the_pictures_follow_block_and_head(server: Server, tab: Tab, nano: LanguageModel) -> None:
    sockets: list[WebSocket] = []
    tab.page.on("websocket", lambda socket: sockets.append(socket))
    tab.open(server.address(text=TEXT, view="attention", layer=0, head=0))
    holds(tab, nano, 0, 0)
    tab.page.get_by_role("button", name="Next block").click()
    holds(tab, nano, 1, 0)
    frames: list[str | bytes] = []
    sockets[0].on("framereceived", lambda frame: frames.append(frame))
    tab.page.locator("button.head").nth(1).click()
    holds(tab, nano, 1, 1)
    # all changes of a view travel together, else Chromium lays the page out again for each of a hundred
    sent = [frame for frame in frames if isinstance(frame, str) and frame.startswith('{"events"')]
    assert len(sent) <= 30, [frame[:300] for frame in sent]
    expect(tab.page.get_by_role("heading", name="Attention, block 2, head 2")).to_be_visible()


@pytest.mark.sweep
def test_the_flow_shows_a_new_head_before_the_pictures_are_painted(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="attention", layer=0, head=0))
    tab.look_at_all()
    expect(tab.page.get_by_role("heading", name="Output of the head")).to_be_visible()  # the last card is there too
    expect(tab.page.get_by_text("More pictures are loading")).to_have_count(0)
    tab.page.locator(".flow").scroll_into_view_if_needed()  # out of sight it is drawn now and then only
    tab.page.wait_for_timeout(200)
    figures, before, after, local = tab.page.evaluate(FLOW_FIRST)
    assert figures >= 10
    assert local, "layout stays local: the release of Bokeh is one that was tried"
    assert before == 0
    assert 5 <= after <= 3 * figures  # each picture in its turn, none over and over


def test_a_click_on_a_cell_asks_why(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="attention"), as_is=True)
    heading = tab.page.get_by_role("heading", name="Pattern: softmax")
    heading.evaluate("node => node.scrollIntoView({block: 'center'})")
    tab.page.wait_for_timeout(1000)
    box = heading.bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + 130, box["y"] + 190)
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code").first).to_have_text(cell_of("blocks.0.pattern"))


def test_arrow_keys_go_from_cell_to_cell_and_enter_opens_the_card(
    server: Server, tab: Tab, nano: LanguageModel
) -> None:
    """Eye, ear and Enter are told of the same cell; at the edge the page scrolls, and Escape leaves."""
    tab.open(server.address(text=TEXT, view="attention", layer=0, head=0))
    picture = tab.page.get_by_role("application", name="Pattern: softmax")
    picture.scroll_into_view_if_needed()
    tab.page.get_by_role("button", name="numbers and files").first.focus()
    while not picture.evaluate("node => node.matches(':focus')"):
        tab.page.keyboard.press("Tab")
    frame, spoken = picture.locator(".tx-cell"), tab.page.locator(".unseen[aria-live]")
    expect(frame).to_be_visible()
    before = frame.bounding_box()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "Home", "ArrowRight"):
        tab.page.keyboard.press(key)
    value = nano.trace(TEXT).head_map(0, 0, "pattern")[3, 1]
    (said,) = [text for text in spoken.all_text_contents() if text]
    words, number, place = said.split(", ", 2)
    assert (words, place) == ("B attends to B", "blocks.0.pattern[0, 3, 1]")
    assert float(number) == pytest.approx(float(value), rel=1e-5)
    after = frame.bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] > before["x"]
    assert after["y"] > before["y"]
    tab.page.keyboard.press("Enter")
    why = tab.page.get_by_role("region", name="why this number")
    expect(why.locator("code").first).to_have_text(cell_of("blocks.0.pattern"))
    expect(why).to_contain_text(re.compile(r"query\s*B\s*position 4\s*key\s*B\s*position 2"))
    tab.page.keyboard.press("Home")
    tab.page.evaluate("addEventListener('keydown', (event) => { window.kept = event.defaultPrevented })")
    for last in (False, False, False, True):
        tab.page.keyboard.press("ArrowDown")
        assert tab.page.evaluate("kept") is not last  # below the last row the page scrolls
    tab.page.keyboard.press("Escape")
    expect(frame).to_have_count(0)


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="attention"), width, 844, dark=bool(dark), as_is=True)
    expect(tab.page.get_by_role("heading", name="Pattern: softmax")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


LINES = """
(words) => {
  const found = []
  const visit = (root) => {
    for (const e of root.querySelectorAll("*")) {
      if (e.tagName === "H4" && e.checkVisibility()) {
        if (words && /^(Mask|k) /.test(`${e.textContent} `) && !e.textContent.includes(words)) e.append(words)
        const parts = e.getRootNode().host.getRootNode()
        const plot = [...parts.children].find((part) => part.classList.contains("bk-Figure"))
        const [title, figure] = [e, plot].map((x) => x && x.getBoundingClientRect())
        if (figure) found.push([Math.round(title.top), Math.round(figure.top), Math.round(figure.right)])
      }
      if (e.shadowRoot) visit(e.shadowRoot)
    }
  }
  visit(document)
  return found
}
"""


@pytest.mark.sweep
@pytest.mark.parametrize("width", first(1, [1440, 2560, 768]))
def test_pictures_in_a_row_are_aligned_at_the_top(server: Server, kept: Callable[..., Tab], width: int) -> None:
    """Also where the words above one of them take more lines than its neighbours'."""
    tab = kept(server.address(text=TEXT, view="attention"), width, 1440)
    tab.look_at_all()
    tab.until(lambda: len(tab.page.evaluate(LINES)) >= 10, "all pictures are there")
    tab.page.evaluate(LINES, " a title that is far too long for its line" * 4)
    tab.page.wait_for_timeout(300)
    rows: dict[int, list[tuple[int, int]]] = {}
    for title, figure, right in tab.page.evaluate(LINES):
        rows.setdefault(title, []).append((figure, right))
    assert max(map(len, rows.values())) == {2560: 5, 1440: 3, 768: 2}[width]
    assert all(len({top for top, _right in row}) == 1 for row in rows.values()), rows
    assert max(right for row in rows.values() for _top, right in row) > 0.9 * width  # no empty half


@pytest.mark.sweep
def test_pictures_below_the_screen_are_built_when_scrolled_into_sight(server: Server, new_tab: Any) -> None:
    tab = new_tab(1440, 900).open(server.address(text=TEXT))
    waiting = tab.page.get_by_role("status").filter(has_text="More pictures are loading")
    expect(waiting).to_be_attached()
    tab.page.wait_for_timeout(1500)  # it would have been answered long ago
    expect(tab.page.get_by_role("heading", name="Attention patterns of all heads")).to_have_count(0)
    waiting.scroll_into_view_if_needed()
    expect(tab.page.get_by_role("heading", name="Attention patterns of all heads")).to_be_visible()
