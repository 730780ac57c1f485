"""The whole page for people without a mouse or without eyes: axe-core on every view, and the keyboard from the prompt to a weight."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.ui.axe import COLOURS, serious
from tests.ui.conftest import SMALL, Server, Tab
from tests.ui.kept import KeptTabs

TEXT = "CBABBC="
VIEWS = ("Embedding", "Attention", "MLP", "All 3 blocks", "Next token", "Sampling", "KV cache")
INK = "node => getComputedStyle(node).color"
DEEPEST = """() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  let up = at
  while (up && !(up.tagName === "SECTION" && up.getAttribute("aria-label"))) up = up.parentElement ?? up.getRootNode().host
  return [at?.getAttribute("aria-label") || at?.getAttribute("title") || at?.textContent || "", up?.getAttribute("aria-label") ?? ""]
}"""


def settle(tab: Tab, view: str) -> None:
    """Waits for the run, the picture of the flow, and the view."""
    tab.until(lambda: tab.runs >= 1)
    tab.page.locator(".flow[data-shows]").wait_for()
    if view:
        expect(tab.page.locator(f"[role=tab][aria-selected=true]:text-is('{view}')")).to_be_attached()
        if tab.page.viewport_size == {"width": 390, "height": 900}:  # there it lies over the page, tabs and all
            tab.page.get_by_role("dialog", name=view).wait_for()
        tab.page.locator(".tx-unfolded").get_by_role("button", name="numbers and files").first.wait_for()
        if view == "Attention":
            tab.look_at_all()
        tab.page.wait_for_timeout(800)  # what a view computes beside the page (neighbours, lens) arrives
    expect(tab.page.locator(".flow")).to_have_attribute("data-moving", "false")


@dataclass
class Looks:
    """What axe finds in one page, light and dark; all rules once in the dark, where only colours are others."""

    tab: Tab
    views: tuple[str, ...]
    everything: bool
    light: dict[str, list[str]] = field(default_factory=dict)
    dark: dict[str, list[str]] = field(default_factory=dict)
    now: Literal["light", "dark"] = "light"

    def look(self, where: str) -> None:
        """In both schemes, the one that it is in first: turning paints all pictures anew."""
        for scheme in (self.now, "dark" if self.now == "light" else "light"):
            if scheme != self.now:
                self.turn(scheme)
            colours_only = scheme == "dark" and self.dark
            getattr(self, scheme)[where] = serious(self.tab, **(COLOURS if colours_only else {}))

    def turn(self, scheme: Literal["light", "dark"]) -> None:
        ink = self.tab.page.locator("[data-runs]")
        before = ink.evaluate(INK)
        self.tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.tab.until(lambda: ink.evaluate(INK) != before, f"it turns {scheme}")
        self.tab.page.wait_for_timeout(200)  # what the server says of colours arrives
        self.now = scheme


WALKS = [
    pytest.param(
        (1440, ("Sampling",)), id="a view", marks=pytest.mark.sweep
    ),  # besides Attention, which is open from the start
    pytest.param((1440, VIEWS), id="every view", marks=pytest.mark.sweep),
    pytest.param((390, VIEWS), id="on a phone", marks=pytest.mark.sweep),
]


@pytest.fixture(scope="module", params=WALKS)
def looks(request: pytest.FixtureRequest, server: Server, kept_tabs: KeptTabs) -> Looks:
    """Views at a width, and what can be open beside them."""
    width, views = request.param
    tab = kept_tabs.get(server.address(text=TEXT) + "#axe", width, as_is=True)
    looks, page = Looks(tab, ("", *views), views == VIEWS), tab.page
    for title in looks.views:
        if title:
            page.get_by_role("tab", name=title, exact=True).click()
        settle(tab, title)
        looks.look(title or "the flow alone")
        if page.get_by_role("dialog").count():
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
    look_at_what_opens(looks)
    assert kept_tabs.leave() == []
    return looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(looks: Looks, scheme: str) -> None:
    found: dict[str, list[str]] = getattr(looks, scheme)
    assert len(found) == len(looks.views) + (4 if looks.everything else 2)
    assert {where: what for where, what in found.items() if what} == {}


def look_at_what_opens(looks: Looks) -> None:
    """All heads, the card, a pinned one, the tree."""
    tab, page = looks.tab, looks.tab.page
    if looks.everything:
        page.get_by_role("button", name="All 9 heads").click()
        expect(page.locator(".allheads progress")).to_be_hidden()
        looks.look("all heads")
        page.locator(".allheads canvas").press("Escape")
    page.locator("[aria-label^='Attention pattern']").first.press("Enter")
    why = page.get_by_role("region", name="why this number")
    why.locator(".term button").first.wait_for()
    looks.look("the card")
    if looks.everything:
        why.get_by_role("button", name="Pin this card").click()
        why.locator("article").first.locator(".term button").first.click()
        expect(why.locator("article")).to_have_count(2)
        why.locator("summary").first.click()
        looks.look("two cards")
        why.get_by_role("button", name="Unpin and remove this card").click()  # the next width uses the same tab
        expect(why.locator("article")).to_have_count(1)
    why.locator(".term button").first.press("Escape")
    expect(why).to_be_hidden()
    if page.get_by_role("dialog").count():
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    runs = tab.runs
    page.get_by_role("button", name="Generate", exact=True).click()
    tab.until(lambda: tab.runs > runs)
    page.locator(".timeline").first.wait_for()
    tab.until(lambda: page.locator("[data-busy=false]").count() > 0)
    looks.look("the timeline")


def test_axe_reports_visible_faults_and_not_those_in_folded_parts(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view=SMALL))
    tab.page.evaluate(
        """() => {
          const fault = "<img src='data:,' width=20 height=20>"
          document.body.insertAdjacentHTML("beforeend", `<div id=seen>${fault}</div><div style="display:none"><div>${fault}</div></div>`)
        }"""
    )
    found = [one for one in serious(tab) if one.startswith("image-alt")]
    assert len(found) == 1
    assert tab.page.locator("#seen img").count() == 1  # and the page is as it was
    assert tab.page.evaluate("document.body.lastElementChild.childNodes.length") == 1


def focused(tab: Tab) -> tuple[str, str]:
    """What has the keyboard, through all shadow roots: its name, and the name of the region that it is in."""
    return tuple(tab.page.evaluate(DEEPEST))


def tab_to(tab: Tab, name: str, region: str = "") -> str:
    """Presses Tab until something of that name (a regular expression) has the focus; gives back the whole name."""
    passed = []
    for _press in range(250):
        tab.page.keyboard.press("Tab")
        here, where = focused(tab)
        if re.search(name, here) and re.search(region, where):
            return here
        passed.append(here)
    raise AssertionError(f"Tab never came to {name!r}; it passed {passed}")


def test_the_keyboard_alone_goes_from_the_prompt_to_a_weight(server: Server, tab: Tab) -> None:
    tab.open(server.address(view=SMALL), ready=False)
    settle(tab, "")
    for _press in range(12):
        if focused(tab)[0] == "Prompt":
            break
        tab.page.keyboard.press("Tab")
    runs = tab.runs
    tab.page.keyboard.press("Control+a")
    tab.page.keyboard.type(TEXT)
    tab.page.keyboard.press("Enter")
    tab.until(lambda: tab.runs > runs)
    tab_to(tab, "^Attention pattern")
    tab.page.keyboard.press("ArrowUp")
    tab.page.keyboard.press("Enter")
    why = tab.page.get_by_role("region", name="why this number").locator("article").first
    code = why.locator("code").first
    expect(code).to_have_text(re.compile(r"\.pattern \["))
    for _step in range(12):  # the first operand of each number, until one of them is a weight
        at = code.inner_text()
        if at.partition(" [")[0].endswith((".weight", ".bias")):
            break
        wanted = r"^Why this number: \S+\.weight" if why.locator(".term button[title*='.weight']").count() else r"^Why "
        tab_to(tab, wanted, "why this number")
        tab.page.keyboard.press("Enter")
        expect(code).not_to_have_text(at)
    expect(why.get_by_text("learned in training")).to_be_visible()
    assert tab.runs == runs + 1
