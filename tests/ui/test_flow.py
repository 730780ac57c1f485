"""The flow by itself in a real browser: what is drawn, what a click, a key and a pointer do, what moves and what does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.sweeping import first
from tests.ui.conftest import PATIENCE, Tab, served
from tests.ui.flow_stage import Stage, flow_in, inside, open_flow, until
from tests.ui.kept import KeptTabs
from txpanel.models.language_model import LanguageModel

SLOWLY = """{
  globalThis.slowly = 1
  let last = performance.now(), shown = last
  const real = performance.now.bind(performance), frame = requestAnimationFrame.bind(globalThis)
  performance.now = () => { const now = real(); shown += (now - last) / slowly; last = now; return shown }
  globalThis.requestAnimationFrame = (draw) => frame(() => draw(performance.now()))
}"""
"""Whatever moves takes `slowly` times as long: to be caught moving on a machine that is busy."""
NASTY = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def server(kept_tabs: KeptTabs) -> Iterator[Stage]:
    from tests.families import tiny

    stage = Stage(model=tiny("llama"))
    with served(stage.app) as stage.url:
        yield stage
        kept_tabs.close(stage.url)


@pytest.fixture
def stage(server: Stage) -> Stage:
    server.options = {}
    return server


@pytest.fixture
def show(stage: Stage, new_tab: Callable[..., Tab]) -> Callable[..., Page]:
    """Opens the flow of a text and waits until it stands still."""

    def open_page(
        width: int = 1440,
        height: int = 900,
        motion: str = "reduce",
        model: Any = None,
        slowly: float = 1,
        **options: Any,
    ) -> Page:
        before, stage.options = stage.model, options
        stage.model = model or stage.model
        page = new_tab(width, height, reduced_motion=motion).page
        page.add_init_script(SLOWLY.replace("slowly = 1", f"slowly = {slowly}"))
        page.goto(stage.url, timeout=PATIENCE)
        page.locator(".flow[data-shows]").wait_for(timeout=PATIENCE)
        stage.model = before
        if motion == "reduce":
            expect(page.locator(".flow")).to_have_attribute("data-moving", "false")
        return page

    return open_page


@pytest.fixture
def look(stage: Stage, kept: Callable[..., Tab]) -> Callable[..., Page]:
    """As `show`, for tests that change nothing: the page may be one that is open."""

    def at(width: int = 1440, **options: Any) -> Page:
        stage.options = options
        return flow_in(kept(f"{stage.url}?{urlencode(options)}", width, as_is=True, opens=open_flow), stage)

    return at


def shows(page: Page, layer: int, head: int, query: int) -> None:
    expect(page.locator(".flow")).to_have_attribute("data-shows", f"{layer}/{head}/{query}")


def spot(page: Page, query: int, key: int) -> tuple[float, float]:
    """The middle of a cell, found by moving the keyboard's frame to it: the tooltip stands at it."""
    found = inside(page, f"const L = flow.flow.L; return [L.c0 + {key} * L.pitch, L.y0 + {query} * L.gap];")
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    return box["x"] + found[0], box["y"] + found[1]


def test_everything_a_llama_has_is_there(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    for name in ("Embedding", "Attention", "MLP", "All 3 blocks", "Next token"):
        expect(page.get_by_role("button", name=name).first).to_be_visible()
    anatomy = stage.state.trace.anatomy.blocks[0]
    assert page.locator("button.head").count() == anatomy.n_heads
    assert page.locator("button.token").count() == len(stage.state.trace.tokens.ids)
    captions = page.locator(".captions button").all_inner_texts()
    assert captions[0] == "RMSNorm"
    assert {"W_O", "add", "down"} <= set(captions)
    assert any("SiLU(gate) × up" in caption for caption in captions)
    assert "each group of 2 shares one k and v" in page.locator(".headtitle").inner_text()
    page.locator(".legend").get_by_role("button", name="all symbols").click()
    expect(page.locator(".allsigns")).to_be_visible()
    expect(page.locator(".allsigns")).to_contain_text("RMSNorm")


def test_a_cell_has_the_colour_of_its_weight(show: Callable[..., Page], stage: Stage) -> None:
    page = show(text="abcdefghijkl")
    pattern = stage.state.trace.head_map(0, 0, "pattern")
    colours = inside(
        page,
        """const f = flow.flow, L = f.L, out = [], low = Math.min(L.gap - 2, L.pitch * 1.9) / 2 - 3;  // below the number in it
        for (let i = 0; i < L.n; i++) for (let j = 0; j <= i; j++) {
          const [x, y] = [L.c0 + j * L.pitch, L.y0 + i * L.gap + low];
          const p = f.ctx.getImageData(Math.round(x * f.dpr), Math.round(y * f.dpr), 1, 1).data;
          out.push([i, j, p[0], p[1], p[2]]);
        } return out;""",
    )
    from txpanel.toolkit.palette import ramp

    table = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in ramp("probability")]
    for query, key, *rgb in colours:
        expected = table[round(float(np.sqrt(pattern[query, key])) * 255)]
        assert np.abs(np.array(rgb) - expected).max() <= 4, (query, key)


def test_the_tooltip_has_the_recorded_value_and_the_tensor_name(look: Callable[..., Page], stage: Stage) -> None:
    page = look()
    page.mouse.move(*spot(page, 4, 2))
    tip = page.locator(".tip")
    expect(tip.locator("code")).to_have_text("blocks.0.pattern [head 0, query 4, key 2]")
    value = float(stage.state.trace.head_map(0, 0, "pattern")[4, 2])
    assert float(tip.locator("b").inner_text().replace("−", "-")) == pytest.approx(value, rel=1e-3)
    x, y = inside(page, "const a = flow.flow.L.at.mlp; return [a.m, flow.flow.L.y0];")
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(tip.locator("code")).to_have_text(re.compile(r"blocks\.0\.mlp_\w+ \[token 0, neuron \d+\]"))
    name, neuron = re.match(r"(\S+) \[token 0, neuron (\d+)\]", tip.locator("code").inner_text()).groups()  # type: ignore[union-attr]
    value = float(stage.state.trace.tensor(name)[0, int(neuron)])
    assert float(tip.locator("b").inner_text().replace("−", "-")) == pytest.approx(value, rel=1e-3)


def test_a_click_on_a_cell_asks_why_and_opens_attention(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    page.mouse.click(*spot(page, 5, 3))
    until(page, lambda: stage.view.opened == "attention")
    assert stage.state.question.name == "blocks.0.pattern"
    assert dict(stage.state.question.index) == {"head": 0, "query": 5, "key": 3}
    assert (stage.state.query, stage.state.key, stage.view.opened) == (5, 3, "attention")
    shows(page, 0, 0, 5)
    expect(page.locator(".heading[data-part=attention]")).to_have_attribute("aria-expanded", "true")
    page.locator(".heading[data-part=attention]").click()
    expect(page.locator(".heading[data-part=attention]")).to_have_attribute("aria-expanded", "true")
    assert stage.view.opened == "attention"
    at = "const f = flow.flow, L = f.L; return [L.at.plus1.m, L.at.plus2.m, L.at.wo.m, L.y0 + 4 * L.gap]"
    attn, mlp, head, lane = inside(page, at)
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    for x, name in ((attn, "attn_out.norm"), (mlp, "mlp_out.norm"), (head, "z.norm")):
        page.mouse.click(box["x"] + x, box["y"] + lane)
        until(page, lambda name=name: stage.state.question.name == f"blocks.0.{name}")
        assert stage.state.question.index["token"] == stage.state.query == 4
        assert stage.state.trace.why(stage.state.question.name, **stage.state.question.index).check.ok
    shows(page, 0, 0, 4)
    page.locator(".next").first.click()
    until(page, lambda: stage.state.question.name == "lens.3.4.probs")
    assert stage.state.question.index["vocab"] == int(stage.state.trace.logits_at(4).values.argmax())
    expect(page.locator(".next.lit")).to_have_count(1)
    page.locator(".next.lit").press("End")  # all that are not listed; arrows go there as well
    page.locator(".next.rest").press("Enter")
    until(page, lambda: stage.state.question.name.startswith("lens.3.4.probs.others.1"))
    found = stage.state.trace.why(stage.state.question.name)
    assert found.check.ok
    assert found.value == pytest.approx(stage.view.picture.next["rest"], rel=1e-4)
    expect(page.locator(".next.lit")).to_have_count(1)
    expect(page.locator(".next.rest")).to_have_class(re.compile(r"\blit\b"))


def test_the_cells_that_an_open_card_is_about_are_marked(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    flow = page.locator(".flow")
    expect(flow).to_have_attribute("data-lit", "0")
    stage.do(lambda: stage.state.ask("blocks.0.scores", head=0, query=4, key=2))
    expect(flow).to_have_attribute("data-lit", "17")  # the cell, and eight entries each of the query and the key
    stage.do(lambda: stage.state.ask("blocks.1.scores", head=0, query=4, key=2))
    expect(flow).to_have_attribute("data-lit", "0")  # another block: nothing of it is on screen
    point = "window.dispatchEvent(new CustomEvent('tx-point', {detail: {name: 'blocks.0.q', at: {head: 0, token: 4, dim: 3}}}))"
    page.evaluate(point)
    expect(flow).to_have_attribute("data-pointed", "true")
    stage.do(lambda: stage.state.ask("logits", vocab=int(np.argmax(stage.state.trace.logits.values))))
    expect(page.locator(".next.lit")).to_have_count(1)


@pytest.mark.sweep
def test_a_mixture_shows_its_experts(show: Callable[..., Page], stage: Stage) -> None:
    from tests.families import tiny

    page = show(model=tiny("mixtral"))
    trace = stage.state.trace
    tip = page.locator(".tip")
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    strip = "const f = flow.flow, i = 2, L = f.L, y = L.y0 + i * L.gap, h = L.mlpH; return [L.at.mlp.m, y + h / 2 - 5, y - h / 2 + 5];"
    x, below, above = inside(page, strip)
    page.mouse.move(box["x"] + x, box["y"] + below)
    expect(tip.locator("code")).to_have_text(re.compile(r"blocks\.0\.mlp_post \[slot 1, token 2, neuron \d+\]"))
    neuron = int(re.findall(r"\d+", tip.locator("code").inner_text())[-1])
    value = float(trace.tensor("blocks.0.mlp_post")[2, 1, neuron])
    assert float(tip.locator("b").inner_text().replace("−", "-")) == pytest.approx(value, rel=1e-3)
    expert = int(trace.tensor("blocks.0.expert_index")[2, 1])
    expect(tip).to_contain_text(f"Neurons of expert {expert}")
    page.mouse.move(box["x"] + x, box["y"] + above)
    expect(tip.locator("b")).to_contain_text(f"{expert}:")


def test_a_click_chooses_heads_blocks_and_tokens(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    last = len(stage.state.trace.tokens.ids) - 1
    page.locator("button.head").nth(3).click()
    shows(page, 0, 3, last)
    page.get_by_role("button", name="Next block").click()
    shows(page, 1, 3, last)
    page.locator("button.token").nth(2).click()
    shows(page, 1, 3, 2)
    # the flow shows another token at once, from what it has; the state hears of it a moment later
    until(page, lambda: (stage.state.layer, stage.state.head, stage.state.query) == (1, 3, 2))
    probability = np.exp(stage.state.trace.logits_at(2).values.astype(np.float64))
    best = float((probability / probability.sum()).max())
    until(page, lambda: abs(float(page.locator(".next em").first.inner_text().split()[0]) / 100 - best) < 6e-4)


def test_the_keyboard_reaches_every_part(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    last = len(stage.state.trace.tokens.ids) - 1
    page.locator(f"button.token[data-token='{last}']").focus()
    page.keyboard.press("ArrowUp")
    shows(page, 0, 0, last - 1)
    page.locator("button.head[data-head='0']").focus()
    page.keyboard.press("ArrowRight")
    shows(page, 0, 1, last - 1)
    page.get_by_role("group", name="Attention pattern").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".live")).to_contain_text("Attention weight")
    page.keyboard.press("Enter")
    until(page, lambda: stage.state.question is not None)
    assert dict(stage.state.question.index) == {"head": 1, "query": last - 2, "key": 1}
    expect(page.locator(".heading[data-part=attention]")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    until(page, lambda: stage.view.opened == "")
    page.get_by_role("group", name="What each block adds").focus()
    page.keyboard.press("ArrowRight")
    shows(page, 1, 1, last - 2)


def test_tab_stops_are_few_and_all_have_names(look: Callable[..., Page]) -> None:
    page = look()
    names = inside(
        page,
        """return [...flow.querySelectorAll('button, input, [tabindex="0"]')].filter((n) => n.tabIndex === 0 && n.offsetParent && !n.hidden)
        .map((n) => n.getAttribute('aria-label') || n.textContent.trim());""",
    )
    assert all(names)
    assert len(names) <= 20


def test_a_run_plays_once_and_can_be_skipped(show: Callable[..., Page]) -> None:
    page = show(motion="no-preference", slowly=100)
    expect(page.locator(".flow")).to_have_attribute("data-moving", "true")
    page.get_by_role("button", name="Skip").click()
    expect(page.locator(".flow")).to_have_attribute("data-moving", "false")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".flow")).to_have_attribute("data-moving", "true")
    page.evaluate("slowly = 1")
    expect(page.locator(".flow")).to_have_attribute("data-moving", "false", timeout=PATIENCE)


@pytest.mark.parametrize("motion", first(1, ["reduce", "no-preference"]))
def test_play_goes_step_by_step_with_the_next_token_hidden(show: Callable[..., Page], motion: str) -> None:
    page = show(motion=motion, slowly=20)
    flow, answer = page.locator(".flow"), page.locator(".next").first
    if motion != "reduce":
        page.get_by_role("button", name="Skip").click()
    expect(answer).to_be_visible()
    page.get_by_role("button", name="Play").click()
    expect(answer).to_be_hidden()
    if motion != "reduce":
        page.get_by_role("button", name="Pause").click()
    expect(flow).to_have_attribute("data-moving", "false")
    at = inside(page, "return flow.flow.motion.run")
    assert 0 <= at < 1
    step = page.get_by_role("button", name="Step")
    step.click()
    until(page, lambda: inside(page, "return flow.flow.motion.held && flow.flow.motion.run") > at)
    assert inside(page, "return flow.flow.motion.run") in (0.1, 0.26, 0.52)
    expect(answer).to_be_hidden()
    page.get_by_role("button", name="Skip").click()
    expect(answer).to_be_visible()
    expect(step).to_be_hidden()


def test_reduced_motion_moves_nothing(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    inside(
        page,
        "flow.seen = []; new MutationObserver(() => flow.seen.push(flow.dataset.moving)).observe(flow, {attributes: true});",
    )
    page.locator("button.head").nth(2).click()
    shows(page, 0, 2, stage.state.query)
    assert "true" not in inside(page, "return flow.seen")


def test_an_appended_token_moves_alone(show: Callable[..., Page], stage: Stage) -> None:
    page = show(motion="no-preference")
    expect(page.locator(".flow")).to_have_attribute("data-moving", "false", timeout=PATIENCE)
    count = len(stage.state.trace.tokens.ids)
    inside(
        page,
        "flow.seen = []; const m = flow.flow.motion, play = m.play.bind(m); m.play = (from) => { flow.seen.push(from); play(from); };",
    )
    stage.do(stage.state.append)
    expect(page.locator("button.token")).to_have_count(count + 1)
    until(page, lambda: inside(page, "return flow.seen.length"))
    assert inside(page, "return flow.seen") == [count]


@pytest.mark.sweep
def test_a_text_that_the_tokenizer_changes_is_marked_as_changed(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    expect(page.locator(".inexact")).to_be_hidden()
    inside(page, "const m = flow.flow.model; m.tokens = {...m.tokens, exact: false};")
    expect(page.locator(".inexact")).to_contain_text("tokenizer changes the text")


def test_no_token_becomes_markup(look: Callable[..., Page], stage: Stage) -> None:
    page = look(text=NASTY)
    assert "".join(stage.state.trace.tokens.strings).startswith("<img")
    page.mouse.move(*spot(page, 3, 1))
    assert page.title() != "1"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_long_texts_have_a_window_that_moves(look: Callable[..., Page], stage: Stage, width: int) -> None:
    page = look(width=width, text="abcde " * 15)
    total = len(stage.state.trace.tokens.ids)
    assert total > 40
    lanes = page.locator("button.token").count()
    assert lanes < 40
    expect(page.locator(".windowbar")).to_contain_text(f"of {total}")
    slider = page.get_by_role("slider", name="First token on screen")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".windowbar")).to_contain_text(f"tokens 1–{lanes} of {total}")
    expect(page.locator("button.token").first).to_have_attribute("data-token", "0")


def download(page: Page, button: str) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("button", name=button).click()
    return started.value.path().read_bytes()


@pytest.mark.parametrize("width", [1440, 390])
def test_the_picture_is_saved_with_its_words(look: Callable[..., Page], stage: Stage, width: int) -> None:
    page = look(width=width, text=NASTY)
    if not page.get_by_role(
        "button", name="Save the picture as SVG"
    ).is_visible():  # at the other width it was unfolded
        page.get_by_role("button", name="numbers and files").click()
    svg = download(page, "Save the picture as SVG")
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    words = ["".join(node.itertext()) for node in root.iter(f"{name}text")]
    assert {"Embedding", "Attention", "MLP", "Next token", "residual stream"} <= set(words)
    assert page.locator(".next em").first.inner_text() in words
    if width == 1440:
        shown = [node.inner_text() for node in page.locator("button.token b").all()]
        assert "<" in shown
        assert set(shown) <= set(words)
    assert not list(root.iter(f"{name}script")) + list(root.iter(f"{name}foreignObject"))
    assert all(node.get("href", "").startswith("data:image/png") for node in root.iter(f"{name}image"))
    assert NASTY in (root.findtext(f"{name}metadata") or "")
    png = download(page, "Save the picture as PNG")
    assert png[:4] == b"\x89PNG"
    assert int.from_bytes(png[16:20]) == 2 * (width + 2 * 12)  # two pixels for each of the page's, and a margin around
    assert b"iTXtDescription" in png
    assert page.title() != "1"


def test_the_table_of_numbers_follows_the_selection(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    page.get_by_role("button", name="numbers and files").click()
    page.get_by_role("button", name="Show the numbers").click()
    expect(page.locator("table")).to_have_count(4)
    expect(page.get_by_role("region", name="Attention pattern of block 1, head 1")).to_be_visible()
    page.locator("button.head").nth(2).click()
    expect(page.get_by_role("region", name="Attention pattern of block 1, head 3")).to_be_visible()
    rows = page.get_by_role("region", name="Tokens in block 1").locator("tbody tr")
    expect(rows).to_have_count(len(stage.state.trace.tokens.ids))


@pytest.mark.parametrize("width", [390, 768, 1280, 2560])
def test_the_flow_fits_the_page(look: Callable[..., Page], width: int) -> None:
    look(width=1440)
    page = look(width=width)  # also where it was wider before
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = inside(
        page,
        """const left = flow.getBoundingClientRect().left;
        const shown = [...flow.querySelectorAll('.stage button')].filter((n) => n.offsetParent);
        return [flow.flow.W, ...shown.map((n) => n.getBoundingClientRect().right - left)];""",
    )
    assert max(wide[1:]) <= wide[0] + 2


def test_all_heads_are_one_picture_with_few_nodes(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    page.get_by_role("button", name="All 12 heads").click()
    panel = page.locator(".allheads")
    expect(panel).to_be_visible()
    expect(panel.locator("progress")).to_be_hidden()
    assert inside(page, "return flow.flow.grid.parts.size") == 3
    assert inside(page, "return flow.querySelectorAll('*').length") <= 2000
    box = panel.locator("canvas").bounding_box()
    assert box is not None
    x, y = json.loads(
        inside(page, "const g = flow.flow.grid; return JSON.stringify([g.left + 2.5 * g.size, g.top + 1.5 * g.size]);")
    )
    page.mouse.click(box["x"] + x, box["y"] + y)
    shows(page, 2, 1, stage.state.query)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_on_a_phone_heads_are_columns(show: Callable[..., Page], nano: LanguageModel) -> None:
    """There are mostly more blocks than heads: cells stay large enough to see and to touch."""
    page = show(width=390, height=844, model=nano)
    page.get_by_role("button", name="All 9 heads").click()
    panel = page.locator(".allheads")
    expect(panel.locator("progress")).to_be_hidden()
    expect(panel).to_contain_text("one row per block")
    grid = panel.locator("canvas")
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    left, top, size = inside(page, "const g = flow.flow.grid; return [g.left, g.top, g.size];")
    page.mouse.click(box["x"] + left + 0.5 * size, box["y"] + top + 2.5 * size)
    page.wait_for_function(
        "(at) => at[0].dataset.shows.startsWith('2/0/')", arg=[page.locator(".flow").element_handle()]
    )
    grid.press("ArrowRight")
    grid.press("Enter")
    page.wait_for_function(
        "(at) => at[0].dataset.shows.startsWith('2/1/')", arg=[page.locator(".flow").element_handle()]
    )


def test_dark_and_light_follow_the_page(show: Callable[..., Page]) -> None:
    page = show()
    middle = "const f = flow.flow; return [...f.ctx.getImageData(Math.round((f.L.box.x + 6) * f.dpr), Math.round((f.L.top + 60) * f.dpr), 1, 1).data];"
    assert min(inside(page, middle)[:3]) > 200
    page.evaluate("document.documentElement.style.colorScheme = 'dark'")
    until(page, lambda: max(inside(page, middle)[:3]) < 80)


def test_without_a_text_there_is_no_picture(show: Callable[..., Page], stage: Stage) -> None:
    page = show()
    stage.do(lambda: stage.state.param.update(trace=None))
    expect(page.locator(".stage")).to_be_hidden()
    expect(page.locator(".empty")).to_be_visible()
