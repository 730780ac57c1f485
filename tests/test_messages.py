"""Messages: every literal can be extracted, and a translation is data alone."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo

from txpanel import messages

ROOT = Path(__file__).parent.parent
KEYWORDS = {"_": None, "plural": (1, 2)}
Message = str | tuple[str, str]


@pytest.fixture(autouse=True)
def english_afterwards() -> Iterator[None]:
    yield
    messages.use_language("en")


@pytest.fixture(scope="module")
def extracted() -> list[Message]:
    found = extract_from_dir(ROOT / "txpanel", method_map=[("**.py", "python")], keywords=KEYWORDS)
    return list(dict.fromkeys(text for _file, _line, text, _comments, _context in found))


def install(folder: Path, language: str, texts: dict[Message, Any], rule: str = "") -> None:
    catalogue = Catalog(locale=language)
    if rule:
        catalogue._num_plurals, catalogue._plural_expr = 3, rule
    for message, translated in texts.items():
        catalogue.add(message, translated)
    target = folder / language / "LC_MESSAGES"
    target.mkdir(parents=True)
    with (target / "txpanel.mo").open("wb") as file:
        write_mo(file, catalogue)


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
            yield node


def test_the_extractor_sees_every_message(extracted: list[Message]) -> None:
    """Babel leaves out in silence what is no literal; such a sentence would stay English for ever."""
    texts, hidden = set(), []
    for path in sorted((ROOT / "txpanel").rglob("*.py")):
        for call in calls(path):
            wanted = call.args[: 2 if getattr(call.func, "id", "") == "plural" else 1]
            literal = [arg.value for arg in wanted if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if len(literal) != len(wanted):
                hidden.append(f"{path.relative_to(ROOT)}:{call.lineno}")
            texts.add(tuple(literal) if len(literal) == 2 else "".join(literal))
    assert not hidden
    assert len(texts) > 900
    assert texts == set(extracted)


def test_what_cannot_be_extracted_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text('_(f"block {x}")\n_(name)\n_("good")\n', encoding="utf-8")
    found = [text for _file, _line, text, *_rest in extract_from_dir(tmp_path, keywords=KEYWORDS)]
    assert found == ["good"]
    assert sum(1 for _call in calls(tmp_path / "bad.py")) == 3


def test_a_pseudo_translation_of_every_message_shows_up(tmp_path: Path, extracted: list[Message]) -> None:
    every = [text for text in extracted if isinstance(text, str)]
    assert every
    install(tmp_path, "de", {text: f"⟦{text}⟧" for text in every})
    assert messages.use_language("de", folder=tmp_path)
    assert [messages._(text) for text in every] == [f"⟦{text}⟧" for text in every]
    assert messages._("") == ""
    assert not messages.use_language("en", folder=tmp_path)
    assert messages._(every[0]) == every[0]


def test_plurals_follow_the_rule_of_the_language(tmp_path: Path) -> None:
    rule = "(n==1 ? 0 : n<5 ? 1 : 2)"
    install(tmp_path, "pl", {("{n} token", "{n} tokens"): ("jeden", "kilka", "wiele")}, rule)
    assert messages.plural("{n} token", "{n} tokens", 2) == "{n} tokens"
    messages.use_language("pl", folder=tmp_path)
    assert [messages.plural("{n} token", "{n} tokens", n) for n in (1, 3, 9)] == ["jeden", "kilka", "wiele"]


def test_the_environment_chooses_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "fr", {"hello": "salut"})
    monkeypatch.setenv("TXPANEL_LANGUAGE", "zz:fr")
    messages.use_language(folder=tmp_path)
    assert messages._("hello") == "salut"


def test_a_new_language_is_begun_translated_and_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script itself, in a folder of its own, from the sources to what the page reads."""
    monkeypatch.chdir(ROOT)  # the script changes it
    main = runpy.run_path(str(ROOT / "scripts" / "messages"))["main"]
    main.__globals__.update(LOCALES=tmp_path, POT=tmp_path / "txpanel.pot")
    main(["ja"])
    po = tmp_path / "ja" / "LC_MESSAGES" / "txpanel.po"
    text = po.read_text(encoding="utf-8")
    assert "#: txpanel/" in text
    assert 'msgid "Try again"\nmsgstr ""' in text
    po.write_text(
        text.replace('msgid "Try again"\nmsgstr ""', 'msgid "Try again"\nmsgstr "もう一度"'), encoding="utf-8"
    )
    main([])
    assert messages.use_language("ja", folder=tmp_path)
    assert messages._("Try again") == "もう一度"
    assert messages._("Searching") == "Searching"  # not translated yet: English
