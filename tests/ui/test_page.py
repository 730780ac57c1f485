"""What people do on the page, in a real browser with the nano model, which sorts letters: ``CBABBC=`` goes on ``ABBBCC``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.sweeping import first
from tests.ui.conftest import SMALL, Server, Tab

TEXT = "CBABBC="


@pytest.fixture
def usual(server: Server, kept: Callable[..., Tab]) -> Tab:
    """A page with the text and what follows on it, whatever has been done on it before."""
    tab = kept(server.address(text=TEXT, temperature=0), as_is=True)
    if tab.prompt.input_value() != TEXT:
        tab.run(TEXT)
    expect(tab.ghost).to_have_text("A")
    return tab


def test_a_text_is_run_and_the_prediction_changes(usual: Tab) -> None:
    tab = usual
    expect(tab.ghost).to_have_text("A")
    tab.run("EDCEDC=")
    expect(tab.ghost).to_have_text("C")
    assert tab.prompt.input_value() == "EDCEDC="


def test_generating_appends_tokens_and_undo_takes_them_back(usual: Tab) -> None:
    tab = usual
    tab.page.get_by_role("combobox", name="How many tokens").select_option("5")
    tab.page.get_by_role("button", name="Generate", exact=True).click()
    expect(tab.prompt).to_have_value(TEXT + "ABBBC")
    tab.ghost.click()
    expect(tab.prompt).to_have_value(TEXT + "ABBBCC")
    tab.page.get_by_role("button", name="Undo").click()
    expect(tab.prompt).to_have_value(TEXT + "ABBBC")
    tab.page.get_by_role("button", name="Redo").click()
    expect(tab.prompt).to_have_value(TEXT + "ABBBCC")


def test_a_click_appends_the_suggested_token(usual: Tab) -> None:
    tab = usual
    tab.ghost.click()
    expect(tab.prompt).to_have_value(TEXT + "A")


def test_temperature_moves_the_bars_without_a_forward_pass(server: Server, tab: Tab) -> None:
    tab.open(server.address(text="hello", view="sampling"))
    shares = tab.page.locator(".tx-unfolded").get_by_text("%")
    tab.until(lambda: shares.count() > 3, "the sampling view shows probabilities")
    before, runs = shares.all_inner_texts(), tab.runs
    slider = tab.page.locator(".handles").get_by_role("slider", name="temperature")
    slider.focus()
    for _press in range(10):
        slider.press("ArrowRight")
    tab.until(lambda: shares.all_inner_texts() != before, "the probabilities move with the temperature")
    tab.until(lambda: "temperature=1.5" in tab.page.url, "the address follows")
    assert tab.runs == runs >= 1


def test_a_click_that_leaves_a_long_prompt_is_not_lost(usual: Tab) -> None:
    """Between the press and the release nothing may move: a prompt that is left keeps its height, whatever is in it."""
    tab = usual
    after = tab.page.get_by_role("button", name="Next block")
    before = tab.page.get_by_text("Block 1 of 3", exact=True)
    expect(before).to_be_visible()
    tab.prompt.fill("A\n" * 7)
    there = after.bounding_box()
    after.click()
    expect(tab.page.get_by_text("Block 2 of 3", exact=True)).to_be_visible()
    assert after.bounding_box() == there


def test_picking_a_head_moves_picture_links_and_address(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="attention"))
    heading = tab.page.get_by_role("heading", name=re.compile("head 1", re.IGNORECASE)).first
    expect(heading).to_be_visible()
    tab.page.locator("button.head").nth(1).click()
    expect(tab.page.get_by_role("heading", name=re.compile("head 2", re.IGNORECASE)).first).to_be_visible()
    tab.until(lambda: "head=1" in tab.page.url)
    expect(tab.page.locator("button.head.on")).to_have_attribute("data-head", "1")


def test_views_unfold_one_at_a_time_and_fold_with_escape(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT), as_is=True)
    tabs = tab.page.get_by_role("tab")
    assert tabs.count() >= 5
    tabs.filter(has_text="Embedding").click()
    expect(tab.page.get_by_role("tab", selected=True)).to_have_text("Embedding")
    tab.until(lambda: "view=embedding" in tab.page.url)
    tabs.filter(has_text="Embedding").press("Escape")
    expect(tab.page.get_by_role("tab", selected=True)).to_have_count(0)
    tabs.filter(has_text="Embedding").click()
    expect(tab.page.get_by_role("tab", selected=True)).to_have_count(1)


def test_reload_keeps_the_state(server: Server, tab: Tab) -> None:
    given = {
        "text": "EDCBA=",
        "layer": 1,
        "head": 2,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "view": "mlp",
        "dark": 1,
    }
    tab.open(server.address(**given))
    tab.page.get_by_role("button", name="Previous block").click()
    tab.until(lambda: "layer" not in tab.page.url or "layer=0" in tab.page.url)
    tab.page.reload()
    tab.page.get_by_role("tab", selected=True).wait_for()
    assert tab.prompt.input_value() == "EDCBA="
    expect(tab.page.get_by_role("tab", selected=True)).to_have_text("MLP")
    expect(tab.page.locator(".flow")).to_have_attribute("data-shows", "0/2/5")
    expect(tab.page.locator("button.head.on")).to_have_attribute("data-head", "2")
    expect(tab.page.locator(".handles").get_by_role("slider", name="temperature")).to_have_value("0.5")


@pytest.mark.sweep
def test_back_leaves_the_page_however_much_was_done_on_it(server: Server, tab: Tab) -> None:
    before = server.url.rsplit("/", 1)[0] + "/metrics"
    tab.page.goto(before)
    tab.open(server.address(text=TEXT, temperature=0, view=SMALL))
    entries = tab.page.evaluate("history.length")
    tab.page.get_by_role("button", name="Next block").click()
    tab.until(lambda: "layer=1" in tab.page.url)
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until(lambda: "dark=1" in tab.page.url)
    tab.page.get_by_role("button", name="Light or dark").click()  # the address has changed nothing of what it does
    tab.until(lambda: "dark=0" in tab.page.url)
    tab.run("EDCBA=")
    tab.until(lambda: "EDCBA" in tab.page.url)
    assert tab.page.evaluate("history.length") == entries
    tab.page.go_back()
    assert tab.page.url == before
    tab.page.go_forward()
    expect(tab.prompt).to_have_value("EDCBA=")
    expect(tab.page.locator(".flow")).to_have_attribute("data-shows", "1/0/5")


@pytest.mark.sweep
def test_a_text_that_is_typed_and_not_run_survives_a_reload(server: Server, tab: Tab) -> None:
    field, run = tab.page.locator(".field"), tab.page.locator("button.run")
    tab.open(server.address(text=TEXT, temperature=0, view=SMALL))
    tab.prompt.fill("EDCBA")
    tab.page.get_by_role("button", name="Next block").click()
    tab.until(lambda: "layer=1" in tab.page.url)
    tab.page.reload()
    expect(tab.page.locator(".flow")).to_have_attribute("data-shows", "1/0/6")  # the pictures are of what has run
    expect(tab.prompt).to_have_value("EDCBA")
    expect(field).to_have_class(re.compile("dirty"))
    expect(run).to_be_visible()
    assert "text=CBABBC" in tab.page.url
    tab.open(
        server.address(text="AAB=", view=SMALL)
    )  # another text: what was typed over the one before does not belong to it
    expect(tab.prompt).to_have_value("AAB=")
    tab.page.go_back()
    expect(tab.prompt).to_have_value("EDCBA")
    tab.prompt.press("Enter")
    tab.until(lambda: "text=EDCBA" in tab.page.url)
    tab.page.reload()
    expect(tab.prompt).to_have_value("EDCBA")
    expect(run).to_be_hidden()


@pytest.mark.sweep
def test_two_visitors_do_not_mix(server: Server, new_tab: Callable[..., Tab]) -> None:
    first = new_tab().open(server.address(text="CBABBC=", temperature=0, view=SMALL))
    second = new_tab().open(server.address(text="EDCEDC=", temperature=0, view=SMALL))
    first.page.locator("button.head").nth(1).click()
    expect(first.page.locator("button.head.on")).to_have_attribute("data-head", "1")
    expect(second.page.locator("button.head.on")).to_have_attribute("data-head", "0")
    expect(second.ghost).to_have_text("C")
    second.run("AAAAAB=")
    expect(second.ghost).to_have_text("A")
    assert first.prompt.input_value() == "CBABBC="


@pytest.mark.parametrize(
    ("width", "height", "dark"), first(2, [(1440, 900, 1), (390, 844, 0), (1440, 900, 0), (390, 844, 1)])
)
def test_the_page_has_no_horizontal_scrolling(
    server: Server, kept: Callable[..., Tab], width: int, height: int, dark: int
) -> None:
    tab = kept(server.address(text=TEXT, dark=dark), width, height, as_is=True)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    scheme = tab.page.locator("[data-runs]").evaluate("node => getComputedStyle(node).colorScheme")
    assert scheme == ("dark" if dark else "light")


@pytest.mark.sweep
def test_the_theme_is_the_systems_until_somebody_chooses(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(color_scheme="dark").open(server.address(text=TEXT, view=SMALL), ready=False)
    ink = "node => getComputedStyle(node).color"
    bar = tab.page.locator("[data-runs]")
    light = "rgb(31, 41, 55)"
    tab.page.get_by_role("tab", selected=True).wait_for()
    tab.until(lambda: bar.evaluate(ink) != light)
    dark = bar.evaluate(ink)
    assert "dark=" not in tab.page.url
    tab.page.emulate_media(color_scheme="light")
    tab.until(lambda: bar.evaluate(ink) == light)
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until(lambda: bar.evaluate(ink) == dark, "the button wins over the system")
    tab.until(lambda: "dark=1" in tab.page.url)


def test_unknown_model_is_refused_in_words_and_nothing_is_lost(usual: Tab) -> None:
    tab = usual
    tab.prompt.fill("typed and not run")
    tab.page.get_by_role("button", name="Choose the model").click()
    other = tab.page.get_by_role("textbox", name="Hub id")
    other.fill("no-such/model")
    other.press("Enter")
    expect(tab.alert).to_contain_text("no-such/model")
    assert tab.prompt.input_value() == "typed and not run"
    tab.page.get_by_role("button", name="Close this message").click()
    expect(tab.alert).to_have_count(0)
    tab.run("EDCEDC=")
    expect(tab.ghost).to_have_text("C")


BAD = {
    "empty": ("", "no text"),
    "too long": ("A" * 100_000, "tokens"),
    "one token": ("A", None),
    "emoji": ("🦊👩‍👩‍👧", None),
    "right to left": ("שלום עולם", None),
    "zero width": ("a\u200bb\u200d\ufeff", None),
    "control": ("a\u0000b\u0007", None),
    "markup": ("<script>document.title='x'</script><img src=x onerror=alert(1)>" * 3, "tokens"),
    "short markup": ("<img src=x onerror=document.title='x'>", None),
    "lines": ("a\nb\n\n", None),
}


def test_bad_input_is_a_sentence_or_a_run_and_the_session_lives(usual: Tab) -> None:
    tab = usual
    title = tab.page.title()
    for name, (text, said) in BAD.items():
        tab.run(text)
        if said is not None:
            expect(tab.alert, name).to_contain_text(said)
            assert tab.prompt.input_value() == text, name
        else:
            tab.until(lambda: tab.ghost.is_visible() and not tab.alert.count(), f"{name}: a next token")
            assert tab.prompt.input_value().replace("\u0000", "") == text.replace("\u0000", ""), name
    assert tab.page.title() == title
    tab.run("EDCEDC=")
    expect(tab.ghost).to_have_text("C")


@pytest.mark.sweep
@pytest.mark.parametrize(
    "query",
    [
        "layer=99999&head=-3&temperature=warm&text=CBABBC%3D&view=kv-cache",
        "model=%3Cscript%3E&text=CBABBC%3D&top_p=nan&seed=1e9&view=%3Cb%3E",
        "text=%FF%FE%00&key=x&view=kv-cache&&&==&layer",
        "view=no-such-view&text=CBABBC%3D",
    ],
)
def test_nonsense_in_the_address_leaves_a_usable_page(server: Server, tab: Tab, query: str) -> None:
    tab.open(f"{server.url}?{query}", ready=False)
    tab.until(lambda: tab.page.get_by_role("tab").count() or tab.alert.count(), "views or a sentence")
    tab.run("EDCEDC=")
    if "model=" not in query:
        tab.until(lambda: tab.ghost.is_visible())


def test_the_keyboard_goes_from_prompt_to_generate(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT), as_is=True)
    tab.prompt.focus()
    focused: list[Any] = []
    deepest = """() => { let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
      return at?.getAttribute("aria-label") || at?.textContent }"""
    for _press in range(16):
        tab.page.keyboard.press("Tab")
        focused.append(tab.page.evaluate(deepest))
    for name in ("Generate", "How many tokens to generate", "try: EDCBA="):
        assert name in focused
