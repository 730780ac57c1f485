"""The page in Japanese: chosen by browser, switch or address; nothing left in English, no letter without a glyph, nothing that runs out of a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

import txpanel
from tests.sweeping import apart, first
from tests.ui.conftest import SMALL, Server, Tab
from txpanel import messages

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

TEXT = "CBABBC="
VIEWS = ("embedding", "attention", "mlp", "residual", "softmax", "sampling", "kv-cache")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
SAID = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
  const own = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)
  const named = (e) => ["title", "aria-label", "placeholder", "alt"].map((name) => e.getAttribute(name))
  const quiet = "script, style, code, template, .code, [lang=en]"
  return all(document.body).filter((e) => !e.closest(quiet) && e.checkVisibility()).flatMap((e) => [...own(e), ...named(e)])
    .filter((text) => text && text.trim())
}"""
"""All texts in sight, and what is said of things to people who hear the page."""
GLYPHS = """([family, text]) => {
  const drawn = [...text].map((letter) => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 40}), ctx = canvas.getContext("2d")
    ctx.font = `30px ${family}`
    ctx.fillText(letter, 2, 32)
    return ctx.getImageData(0, 0, 40, 40).data.join()
  })
  return new Set(drawn).size
}"""


def japanese_fonts() -> set[str]:
    """Families on this machine that have the letters."""
    if shutil.which("fc-list") is None:
        return {"Hiragino Sans", "Hiragino Kaku Gothic ProN", "BIZ UDPGothic", "Yu Gothic UI", "Yu Gothic", "Meiryo"}
    listed = subprocess.run(["fc-list", ":lang=ja", "family"], capture_output=True, text=True, check=True).stdout
    return {name.strip() for line in listed.splitlines() for name in line.split(",")}


def texts(node: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Id and text of all elements that hold Japanese themselves, shadow roots included."""
    children = [*node.get("children", ()), *node.get("shadowRoots", ())]
    text = "".join(child["nodeValue"] for child in children if child["nodeType"] == 3)
    if JAPANESE.search(text) and node["nodeName"] not in ("SCRIPT", "STYLE", "TITLE"):
        yield node["nodeId"], text
    for child in children:
        yield from texts(child)


def without_glyph(page: Page) -> list[str]:
    """Texts of which some Japanese letter is drawn by a font that does not have it."""
    chrome, known, bad = page.context.new_cdp_session(page), japanese_fonts(), []
    for domain in ("DOM.enable", "CSS.enable"):
        chrome.send(domain)
    document = chrome.send("DOM.getDocument", {"depth": -1, "pierce": True})["root"]
    found = list(texts(document))
    assert len(found) > 30
    for node, text in found:
        fonts = chrome.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        drawn = sum(font["glyphCount"] for font in fonts if font["familyName"] in known)
        hidden = not fonts
        if not hidden and drawn < len(JAPANESE.findall(text)):
            bad.append(f"{text[:60]}: {[(font['familyName'], font['glyphCount']) for font in fonts]}")
    chrome.detach()
    return bad


def open_in_japanese(new_tab: Callable[..., Tab], server: Server, width: int = 1440, **state: object) -> Tab:
    tab = new_tab(width, 844 if width < 500 else 900, reduced_motion="reduce")
    return tab.open(server.address(text=TEXT, lang="ja", v=2, **state))


def test_the_browser_chooses_and_the_switch_changes(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(locale="ja-JP").open(server.address(text=TEXT, view=SMALL, v=2))
    page = tab.page
    assert page.locator("html").get_attribute("lang") == "ja"
    expect(page.get_by_role("tab", selected=True)).to_have_text("KVキャッシュ")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("KV cache")
    assert page.locator("html").get_attribute("lang") == "en"
    assert "lang=en" in page.url
    assert tab.prompt.input_value() == TEXT
    page.get_by_role("link", name="日本語").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("KVキャッシュ")


@pytest.mark.sweep
def test_two_people_read_two_languages(server: Server, new_tab: Callable[..., Tab]) -> None:
    """One server, at the same time: what comes later, from threads and events, is in each one's own language, too."""
    theirs = new_tab(locale="ja-JP").open(server.address(text="AB=", view=SMALL, v=2))
    ours = new_tab().open(server.address(text="AB=", view=SMALL, v=2))
    for tab in (theirs, ours):
        tab.run("CAB=" + "A" * 600)  # longer than the model reads
    expect(ours.alert).to_contain_text("Shorten it")
    expect(theirs.alert).to_contain_text("短くする")
    assert not JAPANESE.search(ours.alert.inner_text())


@pytest.mark.parametrize("views", [("mlp", "sampling"), apart((VIEWS,))], ids=["two", "all"])
def test_nothing_is_left_in_english(server: Server, new_tab: Callable[..., Tab], views: tuple[str, ...]) -> None:
    tab = open_in_japanese(new_tab, server, view=views[0])
    page = tab.page
    english = set()
    for view in views:
        page.get_by_role("tab").nth(VIEWS.index(view)).click()
        page.locator(".tx-unfolded").get_by_role("button", name="数値とファイル").first.wait_for()
        page.wait_for_timeout(1500)
        said = page.evaluate(SAID)
        assert sum(1 for text in said if JAPANESE.search(text)) > 100
        english |= {text for text in said if re.search(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b", text)}
    assert not english


@pytest.mark.sweep
@pytest.mark.parametrize("view", first(1, ["sampling", "attention"]))
def test_every_letter_has_its_glyph(server: Server, new_tab: Callable[..., Tab], view: str) -> None:
    page = open_in_japanese(new_tab, server, view=view).page
    page.locator(".tx-unfolded").get_by_role("button", name="数値とファイル").first.wait_for()
    assert without_glyph(page) == []
    for family in ("helvetica", "Roboto"):  # of Bokeh's figures, and of the picture on top
        assert page.evaluate(GLYPHS, [family, "埋注残正温"]) == 5
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('p'), {textContent: '\\u{3097}\\u{3098}'}))"
    )  # two places among the hiragana that no letter has
    assert len(without_glyph(page)) == 1


@pytest.mark.parametrize("view", [view if view == "sampling" else apart(view) for view in VIEWS])
def test_nothing_overflows_a_phone(server: Server, new_tab: Callable[..., Tab], view: str) -> None:
    page = open_in_japanese(new_tab, server, 390, view=view).page
    page.locator(".tx-unfolded").get_by_role("button", name="数値とファイル").first.wait_for()
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    out = """() => {
      const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
      const scrolls = (e) => {
        for (let at = e; at; at = at.parentElement ?? at.getRootNode().host)
          if (/auto|scroll|hidden/.test(getComputedStyle(at).overflowX) && at.clientWidth <= 390 && at.scrollWidth > at.clientWidth) return true
      }
      return all(document.body).filter((e) => e.matches("button, a, h1, h2, h3, p, label, dt, dd") && e.checkVisibility() && !scrolls(e)
        && e.getBoundingClientRect().right > 391).map((e) => e.textContent.slice(0, 80))
    }"""
    assert page.evaluate(out) == []


@pytest.mark.parametrize("width", first(1, [1150, 1440, 1920]))
def test_the_names_of_parts_fit_beside_each_other(server: Server, new_tab: Callable[..., Tab], width: int) -> None:
    page = open_in_japanese(new_tab, server, width, view=SMALL).page
    captions = page.locator(".captions .caption:not(.c-mlp)")
    captions.first.wait_for()
    boxes = sorted((box for one in captions.all() if (box := one.bounding_box())), key=lambda box: box["x"])
    assert len({round(box["y"]) for box in boxes}) == 1
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] <= right["x"] + 0.5
    cut = "(n) => [...n.children].some((one) => one.scrollWidth > one.clientWidth + 1)"
    assert not [one.inner_text() for one in page.locator(".captions .caption").all() if one.evaluate(cut)]


@pytest.mark.parametrize("width", first(1, [390, 1250, 1440, 1920]))
def test_how_many_tokens_are_left_is_never_cut(server: Server, new_tab: Callable[..., Tab], width: int) -> None:
    """With the vocabulary of a large model, in as many words as there is room for."""
    page = open_in_japanese(new_tab, server, width, view=SMALL, temperature=1, top_p=1).page
    row, said = page.locator(".next.rest b"), []
    page.locator(".flow[data-shows]").wait_for()
    for n in (243, 49_139, 262_131):
        page.locator(".flow").evaluate(
            "(root, n) => { const app = root.flow; app.next = {...app.next, others: n, rest_left: n}; app.relayout() }",
            n,
        )
        expect(row).to_contain_text(f"{n:,}")
        said.append(row.inner_text())
        assert row.evaluate("(e) => e.scrollWidth <= e.clientWidth"), said[-1]
    assert said[0] in ("その他243個", "他243個")


def test_lines_break_between_phrases(server: Server, new_tab: Callable[..., Tab]) -> None:
    page = open_in_japanese(new_tab, server, 390, view=SMALL).page
    assert page.locator(".lead").first.evaluate("(e) => getComputedStyle(e).wordBreak") == "auto-phrase"
    english = new_tab().open(server.address(text=TEXT, view=SMALL, v=2)).page
    assert english.locator(".lead").first.evaluate("(e) => getComputedStyle(e).wordBreak") == "normal"


@pytest.mark.sweep
def test_a_saved_page_keeps_its_language(
    nano: LanguageModel, tmp_path: Path, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages.use_language("ja")
    try:
        dashboard = txpanel.explain(TEXT, model=nano, temperature=0.0)
        monkeypatch.setattr(
            dashboard.views, "build_all", lambda: dashboard.views.show(there=True)
        )  # one view is enough here
        dashboard.save(tmp_path / "x.html")
        dashboard.close()
    finally:
        messages.use_language("en")
    page = tab.page
    page.goto((tmp_path / "x.html").as_uri())
    tab.prompt.wait_for()
    assert page.locator("html").get_attribute("lang") == "ja"
    expect(page.get_by_text("灰色の操作にはモデルが必要です。")).to_be_visible()
    expect(page.get_by_role("link", name="English")).to_have_count(0)
    expect(page.get_by_role("tab", selected=True)).to_contain_text("注意")
