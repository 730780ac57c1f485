"""What `explain(...).save()` writes opens without server and network and shows its pictures."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

import txpanel
from tests.ui.conftest import Tab

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


@pytest.mark.sweep
def test_a_saved_dashboard_works_by_itself(nano: LanguageModel, tmp_path: Path, tab: Tab) -> None:
    dashboard = txpanel.explain("CBABBC=", model=nano, temperature=0.0)
    trace = dashboard.state.trace if dashboard.state is not None else None
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    errors: list[str] = []
    tab.page.on("pageerror", lambda error: errors.append(str(error)))
    tab.page.goto((tmp_path / "x.html").as_uri())
    tab.prompt.wait_for()
    assert tab.prompt.input_value() == "CBABBC="
    tab.until(lambda: tab.ghost.text_content() == "A")
    tab.page.get_by_role("tab", selected=True).wait_for()
    tab.until(lambda: tab.page.locator("canvas").count() + tab.page.locator("svg").count() > 2, "pictures are drawn")
    assert_hover_tells(tab, trace)
    assert_what_needs_the_model_is_grey(tab)
    assert_files_have_the_numbers(tab, trace)
    assert_tabs_and_theme_work(tab)
    assert_sampling_is_computed(tab)
    assert not errors
    # in a notebook the bar has its cell's width, whatever the window's
    tab.page.evaluate("document.body.style.width = '800px'")
    tab.until(lambda: 400 < (tab.prompt.bounding_box() or {"width": 0})["width"] < 640)


@pytest.mark.sweep
def test_no_step_of_the_timeline_is_shown_over_the_picture_of_another(
    nano: LanguageModel, tmp_path: Path, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chips and track stand still: the numbers of another step need the model."""
    dashboard = txpanel.explain("CBABBC=", model=nano, temperature=0.0)
    assert dashboard.state is not None
    dashboard.state.generate(3)
    monkeypatch.setattr(
        dashboard.views, "build_all", lambda: dashboard.views.show(there=True)
    )  # one view is enough here
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    tab.page.goto((tmp_path / "x.html").as_uri())
    step, track = tab.page.locator(".timeline .step"), tab.page.get_by_role("slider", name="Step of the generation")
    expect(step).to_have_text("3 of 3")
    told = tab.page.get_by_role("status").filter(has_text="This is a saved page")
    for act in (
        lambda: tab.page.locator(".timeline .prompt").click(),
        lambda: track.press("ArrowLeft"),
        lambda: track.press(" "),
        lambda: track.click(position={"x": 3, "y": 10}),
    ):
        tab.page.wait_for_timeout(600)
        act()
        expect(told).to_be_visible()
        assert step.text_content() == "3 of 3"
        assert track.get_attribute("aria-valuenow") == "3"
    flow = tab.page.locator(".flow")
    flow.get_by_role("group", name="What each block adds").press("ArrowRight")
    assert flow.locator(".live").text_content() == ""


def first_cell(tab: Tab) -> tuple[float, float]:
    """Where the first cell of the flow's pattern stands."""
    box = tab.page.locator(".flow canvas.picture").bounding_box()
    assert box is not None
    x, y = tab.page.locator(".flow").evaluate("({flow}) => [flow.L.c0, flow.L.y0]")
    return box["x"] + x, box["y"] + y


def assert_what_needs_the_model_is_grey(tab: Tab) -> None:
    """No label moves: neither by a button, nor by a click into the picture, which says why."""
    banner = tab.page.get_by_role("complementary", name="A saved page")
    for told in ("Nano sorter", "txpanel ", "torch ", date.today().isoformat()):
        expect(banner).to_contain_text(told)
    for name in ("Generate", "Undo", "Next block", "All 9 heads"):
        control = tab.page.get_by_role("button", name=name, exact=True).first
        expect(control).to_be_disabled()
        assert control.get_attribute("title") == "needs the model: this is a saved page"
    expect(tab.page.get_by_role("checkbox", name="hide the first token")).to_be_disabled()
    told = tab.page.get_by_role("status").filter(has_text="This is a saved page")
    assert told.count() == 0
    tab.page.evaluate("scrollTo(0, 0)")
    before = tab.page.locator(".flow .tokens [aria-pressed=true]").text_content()
    tab.page.mouse.click(*first_cell(tab))
    expect(told).to_be_visible()
    assert tab.page.locator(".flow .tokens [aria-pressed=true]").text_content() == before


def assert_files_have_the_numbers(tab: Tab, trace: Any) -> None:
    """Table and CSV of the scores are those of the run; the picture is saved as PNG and SVG."""
    tools = tab.page.locator(".tx-unfolded .leaf:not(.folded) .row[data-alone] >> visible=true").first
    tools.get_by_role("button", name="numbers and files").click()
    with tab.page.expect_download() as coming:
        tools.get_by_text("CSV", exact=True).click()
    lines = [
        row
        for row in csv.reader(Path(coming.value.path()).read_text(encoding="utf-8").splitlines())
        if not row[0].startswith("#")
    ]
    numbers = np.array([[np.nan if cell in ("", "−∞") else float(cell) for cell in row[1:]] for row in lines[1:]])
    np.testing.assert_allclose(numbers, trace["blocks.0.scores"].values[0], rtol=1e-6)
    tools.get_by_text("Table", exact=True).click()
    expect(tab.page.locator(".tx-unfolded .leaf:not(.folded) table").first).to_be_visible()
    for kind in ("PNG", "SVG"):
        with tab.page.expect_download() as coming:
            tools.get_by_text(kind, exact=True).click()
        assert Path(coming.value.path()).stat().st_size > 2000
        assert coming.value.suggested_filename.endswith(kind.lower())


def assert_tabs_and_theme_work(tab: Tab) -> None:
    for name in ("Next token", "MLP"):
        tab.page.get_by_role("tab", name=name, exact=True).click()
        expect(tab.page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        tab.until(
            lambda: tab.page.locator(".tx-unfolded .leaf:not(.folded) :is(h3, h4) >> visible=true").count(),
            f"{name} is drawn",
        )
    # the colours of axes are those that the page was saved with, light and dark (Panel's own design may have painted them before)
    changed = 'Object.entries(txpanelSaved.themes).filter(([, [light]]) => "major_label_text_color" in light)'
    now = f"() => {changed}.map(([id]) => Bokeh.documents[0].get_model_by_id(id).major_label_text_color).join()"
    told = "() => " + changed + ".map(([, both]) => both[{at}].major_label_text_color).join()"
    for at, scheme in ((1, "dark"), (0, "light")):
        tab.page.get_by_role("button", name="Light or dark").click()
        assert tab.page.evaluate("document.documentElement.style.colorScheme") == scheme
        assert tab.page.evaluate(now) == tab.page.evaluate(told.replace("{at}", str(at)))


def assert_sampling_is_computed(tab: Tab) -> None:
    """A preset changes what is drawn from, by the browser's own computing."""
    tab.page.get_by_role("tab", name="Sampling", exact=True).click()
    bench = tab.page.locator(".bench")
    bench.get_by_role("button", name="Greedy").click()
    tab.until(lambda: (bench.get_attribute("data-kept") or "").split(",")[-1] == "1", "one token is left")
    expect(bench.get_by_role("button", name="Append", exact=False).first).to_be_disabled()
    # the bar's slider moves the bars of the flow and the bench, with nobody to ask
    tab.page.locator(".handles").get_by_role("slider", name="temperature").evaluate(
        "(input) => { input.value = 2; input.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    shares = "rows => rows.map((row) => Number(row.dataset.share))"
    left = [p for p in tab.page.locator(".nextlist .next").evaluate_all(shares) if p > 0]
    assert len(left) > 1
    assert sum(left) == pytest.approx(1, abs=1e-6)
    tab.until(lambda: (bench.get_attribute("data-kept") or "").split(",")[-1] != "1", "the bench follows")
    # nobody confirms it: some seconds later another slider moves nothing back
    tab.page.evaluate("() => { const now = Date.now; Date.now = () => now() + 4000 }")
    tab.page.locator(".handles").get_by_role("slider", name="top-p").evaluate(
        "(input) => { input.value = 0.5; input.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    expect(tab.page.locator(".handles").get_by_role("slider", name="temperature")).to_have_value("2")


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
    tab.page.mouse.move(*first_cell(tab))
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
