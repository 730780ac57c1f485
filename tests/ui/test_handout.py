"""A handout in a real browser: it prints on A4 and Letter, nothing runs out of the page, no step is torn, and nothing in it is a script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.lessons.handout.printed import lesson, run
from tests.sweeping import first
from txpanel.lessons.handout.page import handout
from txpanel.models.language_model import LanguageModel

MARGINS = 2 * 14 / 25.4 * 96
PAPERS = {
    "A4": (210 / 25.4 * 96 - MARGINS, 297 / 25.4 * 96 - MARGINS),
    "Letter": (8.5 * 96 - MARGINS, 11 * 96 - MARGINS),
}
"""What is left of a page between the margins, in CSS pixels."""
OUTSIDE = """(wide) => [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect()
  return box.width && (box.left < -1 || box.right > wide + 1)
}).map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`)"""
TALL = """() => [...document.querySelectorAll("section")].map((e) => [e.getBoundingClientRect().height, e.querySelector("h2").textContent])"""


@pytest.mark.parametrize(
    ("name", "language"),
    first(
        2, [(name, language) for name in ("attention", "next-token", "tokens-to-vectors") for language in ("en", "ja")]
    ),
)
def test_a_handout_prints_on_a4_and_letter(
    browser: Browser, nano: LanguageModel, tmp_path: Path, name: str, language: str
) -> None:
    path = tmp_path / "handout.html"
    path.write_text(handout(lesson(name, language), run(nano, "ABC" * 9 + "=")), encoding="utf-8")
    context = browser.new_context(java_script_enabled=True, offline=True)
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    for paper, (wide, high) in PAPERS.items():
        page.set_viewport_size({"width": int(wide), "height": int(high)})
        assert page.evaluate("document.documentElement.scrollWidth") <= int(wide)
        assert page.evaluate(OUTSIDE, wide) == []
        assert [(tall, said) for tall, said in page.evaluate(TALL) if tall > high] == []
        pdf = page.pdf(format=paper, prefer_css_page_size=False)
        assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) > 2
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(media="screen")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert wrong == []
