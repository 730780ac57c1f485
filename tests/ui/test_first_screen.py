"""The first screen at the widths that people have: what has to be in it is, nothing is cut, and names stand in line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.sweeping import first
from tests.ui.conftest import SMALL, Server, Tab

TEXT = "CBABBC="


def test_on_a_phone_tokens_and_next_tokens_are_in_the_first_screen(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(390, 844).open(server.address(text=TEXT, v=2))
    page = tab.page
    rows = page.locator(".nextlist .next")
    assert rows.count() == 14
    for part in (
        rows.first,
        rows.last,
        page.get_by_role("slider", name="top-p"),
        *page.locator(".token:visible").all(),
    ):
        box = part.bounding_box()
        assert box is not None
        assert box["y"] > 0
        assert box["y"] + box["height"] <= 844
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    tokens = page.locator(".token:visible")
    assert tokens.count() == 5
    cut = "(n) => [...n.children].some((one) => one.scrollWidth > one.clientWidth + 1)"
    assert not [n.inner_text() for n in tokens.all() if n.evaluate(cut)]
    assert tokens.last.locator("small").inner_text().split("\n") == ["id 61", "position 7"]


@pytest.mark.sweep
@pytest.mark.parametrize("width", first(1, [1150, 1440, 1920]))
def test_the_names_of_parts_stand_in_one_line(server: Server, new_tab: Callable[..., Tab], width: int) -> None:
    tab = new_tab(width, 900).open(server.address(text="AB=", view=SMALL, v=2))
    captions = tab.page.locator(".captions .caption:not(.c-mlp)")
    captions.first.wait_for()
    boxes = [box for one in captions.all() if (box := one.bounding_box()) is not None]
    assert len({round(box["y"]) for box in boxes}) == 1
    boxes.sort(key=lambda box: box["x"])
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] <= right["x"] + 0.5
    frame = tab.page.locator(".flow").evaluate("(flow) => flow.getBoundingClientRect().left + flow.flow.L.box.x")
    assert boxes[0]["x"] >= frame, "the first name stands in the frame of its block"


@pytest.mark.parametrize("width", [660, 1100])
def test_the_first_line_and_the_tabs_are_whole(server: Server, kept: Callable[..., Tab], width: int) -> None:
    tab = kept(server.address(text="AB=", view=SMALL, v=2), width, 900)
    whole = "(n) => n.scrollWidth <= n.clientWidth + 1"
    for part in (tab.page.locator(".lead"), tab.page.get_by_role("tablist")):
        tab.until(lambda part=part: part.first.evaluate(whole), "it is cut")  # type: ignore[misc]


@pytest.mark.sweep
@pytest.mark.parametrize("text", first(1, ["ABCDABCDABCDABC=", "ABCDABCD=", "AB="]))
def test_a_notebook_cell_of_1150_pixels_has_the_wide_layout_with_nothing_cut(
    server: Server, new_tab: Callable[..., Tab], text: str
) -> None:
    tab = new_tab(1150, 900).open(server.address(text=text, v=2))
    page = tab.page
    assert "phone" not in (page.locator(".flow").get_attribute("class") or "")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1150
    for kind in (".heading", ".token", ".nextlist .next", ".handles .of-bar .slider"):
        for one in page.locator(kind).filter(visible=True).all():
            box = one.bounding_box()
            assert box is not None
            assert box["x"] >= 0, kind
            assert box["x"] + box["width"] <= 1150 - 20, kind
            cut = "(n) => [...n.children].some((one) => one.scrollWidth > one.clientWidth + 1)"
            assert not one.evaluate(cut), one.inner_text()
    covered = """(flow) => { const {L} = flow.flow; const order = Object.values(L.at).filter((one) => one.w > 1).sort((a, b) => a.x - b.x)
      return order.slice(1).filter((one, i) => one.x < order[i].r - 0.5).length }"""
    assert page.locator(".flow").evaluate(covered) == 0


def test_the_timelines_line_appears_with_the_click_on_generate(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, temperature=0, view=SMALL, v=2))
    page = tab.page
    heading = page.get_by_role("button", name="Embedding").first
    header = page.get_by_role("banner").bounding_box()
    box = heading.bounding_box()
    assert header is not None
    assert box is not None
    assert box["y"] - header["y"] - header["height"] < 24, "nothing is kept empty above the headings"
    tools, legend = page.get_by_role("button", name="numbers and files").first, page.locator(".flow .legend")
    one, other = tools.bounding_box(), legend.bounding_box()
    assert one is not None
    assert other is not None
    assert other["y"] < one["y"] + one["height"] / 2 < other["y"] + other["height"], "one row"
    tab.ghost.click()
    expect(page.locator(".timeline .chip")).to_have_count(1)
    expect(page.locator(".timeline")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(tab.prompt).to_have_value(TEXT)
    tab.run("AB=")
    expect(page.locator(".timeline")).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), first(1, [(1440, 900), (390, 844), (768, 1024)]))
def test_the_list_of_models_is_inside_the_window(
    server: Server, new_tab: Callable[..., Tab], width: int, height: int
) -> None:
    page = new_tab(width, height).open(server.address(text=TEXT, view=SMALL)).page
    for name in ("Choose the model", "Share and save", "About this model"):
        opener = page.get_by_role("button", name=name)
        opener.click()
        sheet = page.get_by_role("dialog", name=name)
        expect(sheet).to_be_visible()
        box = sheet.bounding_box()
        assert box is not None
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width, name
        from_it = opener.bounding_box()
        assert from_it is not None
        assert box["y"] >= from_it["y"] + from_it["height"], name
        assert box["y"] + box["height"] <= height, name
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()


@pytest.mark.sweep
def test_without_a_text_there_is_no_empty_bar_under_the_top_bar(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(1440, 900).open(server.address(text=TEXT, view=SMALL))
    tab.run("")
    expect(tab.alert).to_contain_text("no text")
    tab.page.wait_for_timeout(300)
    expect(tab.page.locator(".look")).to_be_hidden()
