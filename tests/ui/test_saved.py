"""What `explain(...).save()` writes opens without server and network and shows its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import expect

import txpanel
from tests.ui.conftest import Tab

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


def test_a_saved_dashboard_works_by_itself(nano: LanguageModel, tmp_path: Path, tab: Tab) -> None:
    dashboard = txpanel.explain("CBABBC=", model=nano, temperature=0.0)
    trace = dashboard.state.trace if dashboard.state is not None else None
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    tab.page.goto((tmp_path / "x.html").as_uri())
    tab.prompt.wait_for()
    assert tab.prompt.input_value() == "CBABBC="
    tab.until(lambda: tab.ghost.text_content() == "A")
    tab.page.get_by_role("tab", selected=True).wait_for()
    tab.until(lambda: tab.page.locator("canvas").count() + tab.page.locator("svg").count() > 2, "pictures are drawn")
    assert_hover_tells(tab, trace)
    told = tab.page.get_by_role("status").filter(has_text="This page was saved")
    assert told.count() == 0
    tab.page.get_by_role("button", name="Block +").click()  # needs the model: said, not ignored
    expect(told).to_be_visible()
    # in a notebook the bar has its cell's width, whatever the window's: the prompt goes into a line of its own
    tab.page.evaluate("document.body.style.width = '800px'")
    tab.until(lambda: (tab.prompt.bounding_box() or {"width": 0})["width"] > 600)


TOOLTIP = """() => {
  const found = [], look = (root) => { for (const at of root.querySelectorAll("*")) {
    if (at.matches(".bk-Tooltip")) found.push(at.shadowRoot)
    if (at.shadowRoot) look(at.shadowRoot)
  } }
  look(document)
  return found.flatMap((root) => [...root.querySelectorAll("div.bk-tooltip-content *, .bk-tooltip-row-value, span")].map((at) => at.textContent)).join(" ")
}"""


def assert_hover_tells(tab: Tab, trace: Any) -> None:
    """The pointer on a cell of a Bokeh picture and on one of the flow: both say the recorded value and its name."""
    flow = tab.page.locator(".flow").bounding_box()
    assert flow is not None
    tab.page.mouse.move(flow["x"] + 346, flow["y"] + 148)  # the first cell of the pattern
    tip = tab.page.locator(".flow .tip")
    tab.until(lambda: "blocks.0.pattern" in (tip.text_content() or ""), "the flow says what is under the pointer")
    picture = tab.page.locator(".tx-unfolded .bk-Figure").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.3)
    tab.until(lambda: "blocks.0.scores[0, " in tab.page.evaluate(TOOLTIP), "and so does the picture")
    said = tab.page.evaluate(TOOLTIP)
    query, key = (int(n) for n in re.findall(r"scores\[0, (\d), (\d)\]", said)[0])
    value = float(trace["blocks.0.scores"].values[0, query, key])
    assert any(np.float32(n.replace("−", "-")) == np.float32(value) for n in re.findall(r"−?\d+\.\d+", said)), said
    pale = """() => getComputedStyle(document.querySelector(".bk-Tooltip").shadowRoot.querySelector(".bk-tooltip-row-label")).color"""
    assert tab.page.evaluate(pale) != "rgb(38, 170, 225)", "Bokeh's own blue has a contrast of 2.6 only"
    tab.page.evaluate("document.documentElement.style.colorScheme = 'dark'")
    dark = "() => getComputedStyle(document.querySelector('.bk-Tooltip')).backgroundColor"
    tab.until(lambda: tab.page.evaluate(dark) != "rgb(255, 255, 255)", "it is dark in the dark")
    tab.page.evaluate("document.documentElement.style.colorScheme = ''")
