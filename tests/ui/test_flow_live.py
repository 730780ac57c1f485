"""The flow follows a slider at once, shows attention weights as numbers up to 25 tokens, and nothing on the page jumps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.families import tiny
from tests.sweeping import first
from tests.ui.conftest import SMALL, Server, Tab, served
from tests.ui.flow_stage import Stage, flow_in, inside, open_flow
from tests.ui.kept import KeptTabs
from txpanel import sampling
from txpanel.decoding.settings import SURPRISE, USUAL
from txpanel.testing import nano_state

TEXT = "CBABBC="
SIZES = [(25, 1440), (11, 1280), (14, 1920), (11, 1440), (11, 1920), (14, 1280), (14, 1440), (25, 1280), (25, 1920)]


def shares(page: Page, part: str = "share") -> list[float]:
    """What the list of next tokens shows, all others last."""
    found = page.locator(".nextlist .next").evaluate_all(f"rows => rows.map((n) => Number(n.dataset.{part}))")
    return [float(x) for x in found]


def settled(tab: Tab) -> None:
    """The run is there, and the logits behind it."""
    tab.page.locator(".flow[data-shows]").wait_for()
    tab.until(lambda: inside(tab.page, "return Boolean(flow.flow.model.odds.logits)"), "the logits come behind the run")


def expected(**settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """The model's own probabilities and those with settings, from Python, of the listed tokens (nano has few)."""
    sample = sampling.pipeline(nano_state(TEXT).trace.logits, **settings, ids=nano_state(TEXT).trace.tokens.ids)
    order = np.argsort(-sample.stages[0].logits, kind="stable")
    return sample.stages[0].probabilities[order], sample.probabilities[order]


def test_a_slider_moves_the_bars_before_the_server_answers(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, temperature=0.9, top_p=1, view=SMALL, v=2))
    settled(tab)
    page = tab.page
    slider = page.get_by_role("slider", name="temperature").first
    own, _soft = expected()
    n = len(shares(page)) - 1
    np.testing.assert_allclose(shares(page, "model")[:n], own[:n], rtol=1e-5, atol=1e-9)

    # in one turn of the browser: no message of the server can have come in between
    now = slider.evaluate("""(input) => {
      input.value = 2
      input.dispatchEvent(new Event("input", {bubbles: true}))
      let root = document, found
      const look = (at) => { for (const el of at.querySelectorAll("*")) {
        if (el.matches(".nextlist .next")) (found ??= []).push(el)
        if (el.shadowRoot) look(el.shadowRoot)
      }}
      look(document)
      return found.map((el) => [Number(el.dataset.share), el.querySelector("u").style.width, el.querySelector("s").style.width])
    }""")
    _own, warm = expected(temperature=2.0)
    np.testing.assert_allclose([row[0] for row in now[:n]], warm[:n], rtol=1e-5, atol=1e-9)
    most = max(own[:n].max(), warm[:n].max())
    np.testing.assert_allclose(
        [float(row[1][:-1]) for row in now[:n] if row[0] > 0.03 * most],
        [100 * p / most for p in warm[:n] if p > 0.03 * most],
        rtol=1e-3,
    )
    np.testing.assert_allclose(
        float(now[0][2][:-1]), 100 * own[0] / most, rtol=1e-3
    )  # the ghost stays where the model put it

    # the server says the same: state, address, and the same numbers
    tab.until(lambda: "temperature=2" in page.url, "the address follows")
    np.testing.assert_allclose(shares(page)[:n], warm[:n], rtol=1e-5, atol=1e-9)
    expect(page.locator(".nextkey")).to_contain_text("with your settings")
    expect(page.locator(".nextkey")).to_contain_text("the model")


def test_the_suggested_token_is_the_one_that_the_bars_mark_as_drawn(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, temperature=1.5, seed=3, view=SMALL, v=2))
    settled(tab)
    page = tab.page
    sampled = page.locator(".next.sampled b")
    for value in (2.0, 0.0, 1.2):
        page.get_by_role("slider", name="temperature").first.evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', {bubbles: true})) }", value
        )
        drawn = sampling.pipeline(nano_state(TEXT).trace.logits, temperature=value, top_p=0.9, seed=3).token
        name = nano_state(TEXT).model.tokens([drawn]).strings[0]
        tab.until(
            lambda name=name: sampled.all_inner_texts() == [name] and tab.ghost.inner_text() == name,
            "both say the same",
        )
    # undo takes the last of them back, in the bars as well, and in a slider that was touched while scrolling
    slider = page.get_by_role("slider", name="temperature").first
    slider.dispatch_event("pointerdown")
    slider.dispatch_event("pointercancel")
    page.get_by_role("button", name="Undo").click()
    tab.until(lambda: inside(page, "return flow.flow.next.settings.temperature") != 1.2, "the bars follow the undo")
    expect(slider).not_to_have_value("1.2")


@pytest.mark.sweep
def test_surprise_me_sets_its_settings_and_a_second_click_the_usual_ones(server: Server, tab: Tab) -> None:
    tab.open(server.address(view=SMALL))
    tab.page.locator(".flow[data-shows]").wait_for()
    page = tab.page
    surprise = page.get_by_role("button", name="surprise me")
    surprise.click()
    expect(surprise).to_have_attribute("aria-pressed", "true")
    tab.until(lambda: "temperature=1.2" in page.url and "min_p=0.05" in page.url, "the address follows")
    shown = {
        name: float(inside(page, f"return flow.flow.next.settings.{name}"))
        for name in ("temperature", "top_p", "min_p")
    }
    assert shown == {name: SURPRISE[name] for name in shown}
    surprise.click()
    tab.until(lambda: "temperature" not in page.url, "it is as usual again")
    tab.until(lambda: inside(page, "return flow.flow.next.settings.temperature") == USUAL["temperature"])


@pytest.fixture(scope="module")
def stage(kept_tabs: KeptTabs) -> Iterator[Stage]:
    stage = Stage(model=tiny("llama"))
    with served(stage.app) as stage.url:
        yield stage
        kept_tabs.close(stage.url)


@pytest.fixture
def flow_of(stage: Stage, kept: Callable[..., Tab]) -> Callable[..., Page]:
    """The flow of so many tokens, at any width."""

    def show(tokens: int, width: int) -> Page:
        text = "".join("abcdefgh"[i % 8] for i in range(tokens * 3))
        ids = stage.model.encode(text)[:tokens]
        stage.options = {"text": stage.model.tokenizer.decode(ids)}
        return flow_in(kept(f"{stage.url}?{tokens}", width, as_is=True, opens=open_flow), stage)

    return show


@pytest.mark.parametrize(("tokens", "width"), first(1, SIZES))
def test_the_flow_shows_attention_weights_as_numbers(
    tokens: int, width: int, flow_of: Callable[..., Page], stage: Stage
) -> None:
    """The chosen row has all of its numbers, the other rows those that fit; each number is that of the run, and there is ink where it stands."""
    page = flow_of(tokens, width)
    n = len(stage.state.trace.tokens.ids)
    pattern = np.asarray(stage.state.trace.head_map(0, 0, "pattern"))
    found = inside(
        page,
        """
      const {L, written, ctx, dpr} = flow.flow
      const ink = ([x, y]) => {
        const {data} = ctx.getImageData(Math.round((x - 7) * dpr), Math.round((y - 5) * dpr), Math.round(14 * dpr), Math.round(10 * dpr))
        const grey = []
        for (let i = 0; i < data.length; i += 4) grey.push(data[i] + data[i + 1] + data[i + 2])
        return Math.max(...grey) - Math.min(...grey)
      }
      return {cells: written.map(([x, y, text]) => [Math.round((y - L.y0) / L.gap), Math.round((x - L.c0) / L.pitch), text, ink([x, y])]),
              chosen: flow.flow.sel.query, badges: L.badges}
    """,
    )
    cells = {(row, column): (text, ink) for row, column, text, ink in found["cells"]}
    assert {column for row, column in cells if row == n - 1} == set(range(n)), "the chosen row has all of its numbers"
    for (row, column), (text, ink) in cells.items():
        p = float(pattern[row, column])
        if text.startswith("."):
            assert float(text) == pytest.approx(p, abs=0.00501)
        else:
            assert text in ("0", "1", "<.01", ">.99", "≈0", "≈1")
            assert p < 0.005 or p >= 0.995
        assert ink > 150, "it can be seen"
    if width >= 1440:
        assert len(cells) > 0.9 * n * (n + 1) / 2
    assert found["badges"] or n > 14


def test_where_weights_have_no_room_no_zero_stands_alone(flow_of: Callable[..., Page], stage: Stage) -> None:
    page = flow_of(37, 1440)
    pattern = np.asarray(stage.state.trace.head_map(0, 0, "pattern"))
    assert (pattern[:-1] < 0.005)[np.tril_indices(36)].any()
    rows = inside(page, "return flow.flow.written.map(([, y]) => Math.round((y - flow.flow.L.y0) / flow.flow.L.gap))")
    assert set(rows) == {len(pattern) - 1}


def test_nothing_on_the_page_moves_while_tokens_are_generated(server: Server, tab: Tab) -> None:
    """The lane that predicts and the bars stay in view; the timeline is one line and was kept free; the prompt keeps its height."""
    tab.open(server.address(text=TEXT, temperature=1.2, view=SMALL, v=2))
    settled(tab)
    page = tab.page
    place = lambda name: page.locator(name).first.bounding_box()  # noqa: E731
    page.get_by_role("combobox", name="How many tokens").select_option("10")
    # the prompt takes the height it will need at once, before tokens come
    page.get_by_role("button", name="Generate", exact=True).click()
    page.evaluate("""() => {
      let flow = null
      const look = (at) => { for (const el of at.querySelectorAll("*")) {
        if (el.matches(".flow")) flow = el
        if (el.shadowRoot) look(el.shadowRoot)
      }}
      look(document)
      window.tops = new Set()
      const watch = () => { window.tops.add(Math.round(flow.getBoundingClientRect().top + scrollY)); requestAnimationFrame(watch) }
      watch()
    }""")
    tab.until(lambda: len(page.locator(".timeline .chip").all()) >= 8 and not page.locator("[data-busy=true]").count())
    page.wait_for_timeout(300)
    assert len(page.evaluate("[...window.tops]")) == 1
    assert place(".timeline")["height"] < 50
    for part in (".nextlist .next.rest", ".token.on"):
        box = place(part)
        assert 0 < box["y"] < 900 - box["height"], part


@pytest.mark.sweep
def test_compare_opens_in_place_of_the_timeline(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, temperature=1.5, view=SMALL, v=2))
    settled(tab)
    page, tree = tab.page, tab.page.locator(".timeline")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(tree.locator(".ended")).not_to_be_empty()
    tree.locator(".unfold").click()
    expect(tree.locator(".unfold")).to_have_attribute("aria-expanded", "true")
    tree.locator(".chip").nth(1).click()
    expect(tree.locator(".next h3, .next b").first).to_contain_text("with your settings")
    tree.get_by_role("button", name=re.compile("another branch")).first.click()
    expect(tree.locator(".branch")).to_have_count(2)
    top, unfolded = page.locator(".flow").bounding_box()["y"], tree.bounding_box()["height"]
    tree.get_by_role("button", name="Compare").click()
    beside = tree.locator(".compare")
    expect(beside).to_be_visible()
    moved, taller = page.locator(".flow").bounding_box()["y"] - top, beside.bounding_box()["height"] - unfolded
    assert abs(moved - max(0, taller)) <= 2, (
        "the picture makes room for what is taller than the timeline, and for nothing else"
    )
    assert abs(beside.bounding_box()["y"] - tree.bounding_box()["y"]) <= 1
    expect(tree.locator(".buttons").filter(visible=True)).to_have_count(0)  # those of the timeline
    page.keyboard.press("Escape")
    expect(beside).to_be_hidden()


@pytest.mark.sweep
def test_a_long_suggestion_does_not_change_the_prompts_height(server: Server, tab: Tab) -> None:
    """Whatever is suggested, and wherever the text ends, the prompt is as high; more than three lines scroll inside."""
    tab.open(server.address(text=TEXT, view=SMALL, v=2))
    settled(tab)
    heights = set()
    page = tab.page
    for suggested in (" a", " visualization", " incomprehensibilities"):
        page.locator("button.ghost").evaluate(
            "(ghost, text) => { ghost.textContent = text; ghost.hidden = false }", suggested
        )
        heights.add(page.locator(".field").bounding_box()["height"])
    assert len(heights) == 1
    tab.prompt.fill("\n".join("line" for _line in range(9)))
    assert tab.prompt.bounding_box()["height"] <= 90
    assert tab.prompt.evaluate("box => box.scrollHeight > box.clientHeight")
