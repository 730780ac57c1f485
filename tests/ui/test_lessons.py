"""The tour in a real browser, at a desk and on a phone: it leads, lights, goes on when something is done, and lets go at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.sweeping import first
from tests.ui.conftest import Server
from tests.ui.tab import Tab

TEXT = "CBABBC="


def box(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Lesson: ")


def lit(page: Page) -> list[dict[str, float]]:
    """The boxes of what is lit, in pixels of the window."""
    return page.locator(".spotlight .ring").evaluate_all(
        "(rings) => rings.map((one) => { const {left, top, right, bottom} = one.getBoundingClientRect(); return {left, top, right, bottom} })"
    )


def cut_names(page: Page) -> list[str]:
    """The names under the lanes that an edge of the light goes through."""
    names = (
        page.locator(".captions .caption:not(.c-mlp)")
        .filter(visible=True)
        .evaluate_all(
            """(all) => all.map((one) => {
            const {left, top, right, bottom} = one.getBoundingClientRect()
            return {text: one.innerText, left, top, right, bottom} })"""
        )
    )
    return [
        name["text"]
        for ring in lit(page)
        for name in names
        if name["top"] < ring["bottom"] and ring["top"] < name["bottom"]
        if any(name["left"] < ring[edge] < name["right"] for edge in ("left", "right"))
    ]


def covers(one: Any, other: Any) -> bool:
    """Whether a box lies over all of another one."""
    return all(one[at] <= other[at] + 1 for at in "xy") and all(
        one[at] + one[size] >= other[at] + other[size] - 1 for at, size in (("x", "width"), ("y", "height"))
    )


def step(page: Page, name: str) -> Locator:
    return box(page).get_by_role("heading", name=name)


def next_(page: Page) -> None:
    box(page).get_by_role("button", name="Next", exact=True).click()


def to(page: Page, name: str) -> None:
    """Goes on until the step of that heading is there."""
    for _more in range(15):
        if step(page, name).count():
            return
        before = box(page).get_by_role("heading").inner_text()
        next_(page)
        expect(box(page).get_by_role("heading")).not_to_have_text(before)
    raise AssertionError(name)


@pytest.mark.parametrize(("width", "height"), first(1, [(1440, 900), (390, 844)]))
def test_the_first_lesson_leads_through_the_page(
    server: Server, new_tab: Callable[..., Tab], width: int, height: int
) -> None:
    tab = new_tab(width, height).open(server.address(text=TEXT))
    page = tab.page
    start = page.get_by_role("button", name="Start here")
    start.click()
    heading = step(page, "One question, many numbers")
    expect(heading).to_be_focused()  # a screen reader reads it
    expect(box(page)).to_contain_text("1 / 13")
    seen = []
    for i in range(13):
        expect(box(page)).to_contain_text(f"{i + 1} / 13")
        seen.append(box(page).get_by_role("heading").inner_text())
        tab.until(lambda: lit(page), f"nothing is lit in “{seen[-1]}”")
        expect(box(page)).not_to_contain_text("{")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not cut_names(page), seen[-1]
        tab.until(lambda: in_sight(page, height), f"what is lit in “{seen[-1]}” cannot be seen: {lit(page)}")
        for asked in box(page).locator(".ask").all():  # on a phone, too, without scrolling in the box
            expect(asked).to_be_in_viewport(ratio=0.95)
        if i < 12:
            next_(page)
    assert len(set(seen)) == 13
    page.keyboard.press("Escape")
    expect(box(page)).to_be_hidden()
    expect(start).to_be_focused()
    expect(page.locator(".spotlight")).to_be_hidden()
    expect(page.get_by_role("tab", selected=True)).to_have_count(1)  # nothing else was closed


def in_sight(page: Page, height: int) -> bool:
    """Whether some of each lit part is on screen, beside the box."""
    over = box(page).bounding_box()
    assert over is not None

    def seen(one: dict[str, Any]) -> bool:
        top, bottom = max(0.0, one["top"]), min(float(height), one["bottom"])
        inside = one["left"] >= over["x"] and one["right"] <= over["x"] + over["width"]
        covered = inside and top >= over["y"] and bottom <= over["y"] + over["height"]
        return bottom - top > 8 and not covered

    return any(map(seen, lit(page)))


@pytest.mark.sweep
def test_a_step_goes_on_when_its_goal_is_reached(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT))
    page = tab.page
    page.get_by_role("button", name="Start here").click()
    to(page, "Who attends to whom")
    expect(box(page)).to_contain_text("Click a circle to see")
    x, y = page.locator(".flow").evaluate(
        "(root) => { const {L, canvas} = root.flow, at = canvas.getBoundingClientRect(); return [at.left + L.c0, at.top + L.y0 + (L.n - 1) * L.gap] }"
    )
    page.mouse.click(x, y)  # what is lit is not covered by anything
    expect(box(page)).to_contain_text("Well done.")
    expect(box(page)).to_contain_text("The card shows the terms")
    to(page, "Another head, another pattern")
    page.locator(".headrow button").nth(2).click()
    expect(box(page)).to_contain_text("Here is head 3")
    to(page, "The temperature")
    slider = page.get_by_role("slider", name="temperature", exact=False).filter(visible=True).first
    slider.focus()
    for _more in range(12):
        slider.press("PageUp")
    expect(box(page)).to_contain_text("Well done.")
    expect(box(page)).to_contain_text("The order has not changed")


@pytest.mark.sweep
def test_keys_go_through_a_lesson_and_the_browser_remembers_the_step(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT))
    page = tab.page
    page.get_by_role("button", name="Start here").click()
    expect(step(page, "One question")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(step(page, "Text becomes tokens")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(step(page, "A token becomes a vector")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(step(page, "Text becomes tokens")).to_be_focused()
    tab.prompt.focus()
    page.keyboard.press("ArrowRight")  # in the prompt an arrow is an arrow
    expect(step(page, "Text becomes tokens")).to_be_visible()
    tab.open(server.address(text=TEXT))
    expect(box(page)).to_be_hidden()
    page.get_by_role("button", name="Start here").click()
    expect(step(page, "Text becomes tokens")).to_be_visible()


def test_an_open_lesson_survives_another_text(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT))
    page = tab.page
    page.get_by_role("button", name="Start here").click()
    to(page, "Text becomes tokens")
    expect(box(page)).to_contain_text("The last one is “=”")
    tab.run("ABC")
    expect(box(page)).to_contain_text("The last one is “C”")
    expect(step(page, "Text becomes tokens")).to_be_visible()


def test_the_suggestion_after_the_prompt_does_not_give_an_answer_away(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, lesson="sorting"))
    page = tab.page
    expect(tab.ghost).to_have_text("A")
    for name in ("A task with a right answer", "What comes after the equals sign?"):
        to(page, name)
        tab.until(lambda: page.locator(".veils div").count() == 2)
        ghost, veils = tab.ghost.bounding_box(), [one.bounding_box() for one in page.locator(".veils div").all()]
        assert any(covers(veil, ghost) for veil in veils)
    box(page).locator(".options [data-option='top']").click()
    expect(page.locator(".veils div")).to_have_count(0)


@pytest.mark.sweep
def test_play_explains_each_part_in_the_first_lessons_words(server: Server, new_tab: Callable[..., Tab]) -> None:
    page = new_tab(reduced_motion="reduce").open(server.address(text=TEXT)).page
    caption = page.locator("p.caption")
    page.get_by_role("button", name="Play", exact=False).first.click()  # reduced motion: it waits at each part
    expect(caption).to_contain_text("48 numbers")
    step = page.get_by_role("button", name="Step ›", exact=False).first
    seen = [caption.inner_text()]
    for _part in range(5):
        step.click()
        expect(caption).not_to_have_text(seen[-1])
        seen.append(caption.inner_text())
    assert len(set(seen)) == 6
    expect(page.locator(".flow")).to_have_attribute("data-playing", "false")
    box_ = caption.bounding_box()
    assert box_ is not None
    assert box_["y"] + box_["height"] <= 900
    page.get_by_role("button", name="Start here").click()  # a lesson speaks for itself
    expect(caption).to_be_hidden()


def test_on_a_phone_nothing_covers_the_highlighted_part(server: Server, new_tab: Callable[..., Tab]) -> None:
    """A step unfolds a view, as a sheet; the next one speaks of the picture under it, and asks for a click there."""
    tab = new_tab(390, 844, reduced_motion="reduce").open(
        server.address(text=TEXT, lesson="mlp-and-blocks", step="one-thing")
    )
    page = tab.page
    sheet = page.get_by_role("dialog", name="MLP", exact=True)
    expect(sheet).to_be_visible()
    next_(page)
    expect(step(page, "Which part adds more?")).to_be_focused()
    expect(sheet).to_have_count(0)
    expect(step(page, "Which part adds more?")).to_be_focused()
    next_(page)
    expect(step(page, "Many blocks")).to_be_focused()
    tab.until(lambda: in_sight(page, 844), "the bars to be clicked are brought into sight")


@pytest.mark.sweep
def test_in_another_width_what_is_lit_is_brought_into_sight_again(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(reduced_motion="reduce").open(server.address(text=TEXT, lesson="attention", step="softmax"))
    page = tab.page
    answer = box(page).get_by_role("textbox", name="Your answer")
    answer.fill("abc")
    answer.press("Enter")
    expect(box(page)).to_contain_text("A number is expected here.")
    for width, height in ((390, 844), (768, 1024), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        tab.until(lambda height=height: in_sight(page, height), f"what is lit cannot be seen at {width}: {lit(page)}")
    expect(answer).to_have_value("abc")
    answer.fill("１００")
    expect(box(page)).not_to_contain_text("A number is expected here.")
    answer.press("Enter")
    expect(box(page)).to_contain_text("Not quite. So much do all weights of the row add up to")


@pytest.mark.sweep
def test_a_step_whose_numbers_come_late_stays_scrolled_to_its_top(server: Server, new_tab: Callable[..., Tab]) -> None:
    """Its question comes after its words; the button for a hint stands below them, and is not scrolled to."""
    tab = new_tab(390, 844, reduced_motion="reduce").open(
        server.address(text="ABCCBAACB=", lesson="attention", step="softmax")
    )
    page = tab.page
    expect(step(page, "Softmax")).to_be_visible()
    next_(page)
    expect(step(page, "The sum of the values")).to_be_visible()
    expect(box(page).get_by_role("button", name="Hint")).to_have_count(1)
    page.wait_for_timeout(300)
    body = box(page).locator(".body")
    assert body.evaluate("(e) => e.scrollHeight > e.clientHeight")
    assert body.evaluate("(e) => e.scrollTop") == 0
