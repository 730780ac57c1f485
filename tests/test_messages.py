"""Messages: every literal is in the .pot, and a translation is data alone."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from txpanel import messages

ROOT = Path(__file__).parent.parent
tool: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "messages"))


@pytest.fixture(autouse=True)
def english_afterwards() -> Iterator[None]:
    yield
    messages.use_language("en")


def install(folder: Path, language: str, catalogue: dict[str, str]) -> None:
    target = folder / language / "LC_MESSAGES"
    target.mkdir(parents=True)
    (target / "txpanel.mo").write_bytes(tool["compiled"](catalogue))


def test_the_template_holds_every_message_of_the_package() -> None:
    kept = tool["without_places"](tool["POT"].read_text(encoding="utf-8"))
    assert kept == tool["without_places"](tool["render"](tool["extract"]())), "run scripts/messages"


def test_a_pseudo_translation_of_every_message_shows_up(tmp_path: Path) -> None:
    every = [one for one, _many in tool["extract"]()]
    assert every
    header = {"": "Content-Type: text/plain; charset=UTF-8\n"}
    install(tmp_path, "xx", header | {text: f"⟦{text}⟧" for text in every})
    assert messages.use_language("xx", folder=tmp_path)
    assert [messages._(text) for text in every] == [f"⟦{text}⟧" for text in every]
    assert messages._("") == ""
    assert not messages.use_language("en", folder=tmp_path)
    assert messages._(every[0]) == every[0]


def test_plurals_follow_the_rule_of_the_language(tmp_path: Path) -> None:
    rule = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);\n"
    install(tmp_path, "xx", {"": rule, "{n} token\0{n} tokens": "jeden\0kilka\0wiele"})
    assert messages.plural("{n} token", "{n} tokens", 2) == "{n} tokens"
    messages.use_language("xx", folder=tmp_path)
    assert [messages.plural("{n} token", "{n} tokens", n) for n in (1, 3, 9)] == ["jeden", "kilka", "wiele"]


def test_the_environment_chooses_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "yy", {"": "Content-Type: text/plain; charset=UTF-8\n", "hello": "salut"})
    monkeypatch.setenv("TXPANEL_LANGUAGE", "zz:yy")
    messages.use_language(folder=tmp_path)
    assert messages._("hello") == "salut"


def test_a_po_file_survives_the_way_through_the_compiler(tmp_path: Path) -> None:
    po = tool["render"]({("a {b}", ""): ["f.py"], ("one", "many"): ["f.py"], ("left\nout", ""): ["f.py"]})
    po = po.replace('msgid "a {b}"\nmsgstr ""', 'msgid "a {b}"\nmsgstr ""\n"ä "\n"{b}\\n"')
    po = po.replace('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "eins"\nmsgstr[1] "viele"')
    catalogue = tool["parse"](po)
    assert catalogue["a {b}"] == "ä {b}\n"
    assert catalogue["one\0many"] == "eins\0viele"
    assert "left\nout" not in catalogue  # not translated yet: English


def test_what_cannot_be_extracted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text('_(f"block {x}")\n')
    with pytest.raises(SystemExit, match=r"bad\.py:1"):
        tool["extract"](tmp_path)
