"""Which language a page speaks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from jinja2 import Template
from panel.io.state import set_curdoc
from panel_material_ui.base import BASE_TEMPLATE

from txpanel import messages
from txpanel.compat.page_resources import trim
from txpanel.page import address, language
from txpanel.toolkit.component import Component


@pytest.fixture(autouse=True)
def nobody_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXPANEL_LANGUAGE", raising=False)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("de,ja;q=0.4,en;q=0.3", "ja"),
        ("en;q=0.2, JA;q=0.9", "ja"),
        ("ja;q=0, en", "en"),
        ("de,fr;q=0.5", None),
        ("", None),
        ("*", None),
        ("ja;q=9, <script>", None),
    ],
)
def test_the_browser_asks_for_a_language(header: str, code: str | None) -> None:
    assert language.of_browser(header, ["en", "ja"]) == code


def test_the_address_counts_first_then_the_operator_then_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.chosen("en", "ja") == "en"
    assert language.chosen(None, "ja") == "ja"
    assert language.chosen("xx", "ja") == "ja"
    assert language.chosen(None, None) == "en"
    monkeypatch.setenv("TXPANEL_LANGUAGE", "ja")
    messages.use_language()
    try:
        assert language.chosen(None, "en") == "ja"
        assert language.chosen("en", "ja") == "en"
    finally:
        monkeypatch.delenv("TXPANEL_LANGUAGE")
        messages.use_language("en")


def test_the_language_stands_in_the_address_and_is_no_run() -> None:
    assert address.read("?lang=ja") == {"lang": "ja"}
    assert address.read("?lang=%3Cb%3E") == {}
    assert not address.holds_a_run({"lang": "ja"})
    assert address.write({"lang": "ja", "text": "Hi"}).startswith("?text=Hi&lang=ja")


def test_an_answer_is_in_the_language_of_its_request() -> None:
    request = SimpleNamespace(arguments={}, headers={"Accept-Language": "ja"})
    assert language.of_request(request) == "ja"
    request.arguments = {"lang": [b"en"]}
    assert language.of_request(request) == "en"
    request.arguments = {"lang": [b"\xff"]}
    assert language.of_request(request) == "ja"


def test_two_pages_of_one_server_speak_two_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[Document | None] = [None]
    monkeypatch.setattr(language, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=None)))
    monkeypatch.setattr(language, "_of_page", lambda: language._pages.get(current[0]) if current[0] else None)
    monkeypatch.setattr(messages, "_of_page", messages._of_page)
    one, other = Document(), Document()
    language.speak(one, "ja")
    language.speak(other, "en")
    said = []
    for current[0] in (one, other, None):
        said.append(messages._("temperature"))
    assert said == ["温度", "temperature", "temperature"]


def test_the_switch_leads_to_the_other_languages() -> None:
    assert language.others("en") == [{"code": "ja", "name": "日本語"}]
    assert language.others("ja") == [{"code": "en", "name": "English"}]


def test_a_component_says_its_language_where_it_is_not_english() -> None:
    assert Component().language == ""
    with messages.speaking("ja"):
        assert Component().language == "ja"


def test_a_page_says_its_language() -> None:
    """Panel's template says English of every page; `trim` puts the language there."""
    assert '<html lang="en"' in Path(str(BASE_TEMPLATE.filename)).read_text(encoding="utf-8")
    document = Document()
    with set_curdoc(document):
        page = trim(Template('<html lang="en" class="a">'), language="ja").render(bokeh_js="", bokeh_css="")
    assert page == '<html lang="ja" class="a">'
