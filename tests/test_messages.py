"""Messages: every literal can be extracted, and a translation is data alone."""

from __future__ import annotations

import ast
import contextvars
import pickle
import runpy
import threading
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


@pytest.mark.sweep
def test_a_new_language_is_begun_translated_and_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script itself, in a folder of its own, from the sources to what the page reads."""
    monkeypatch.chdir(ROOT)  # the script changes it
    main = runpy.run_path(str(ROOT / "scripts" / "messages"))["main"]
    main.__globals__.update(PACKAGES=main.__globals__["PACKAGES"][:1])
    main(["de"], tmp_path)
    po = tmp_path / "de" / "LC_MESSAGES" / "txpanel.po"
    text = po.read_text(encoding="utf-8")
    assert "#: txpanel/" in text
    assert 'msgid "Try again"\nmsgstr ""' in text
    po.write_text(
        text.replace('msgid "Try again"\nmsgstr ""', 'msgid "Try again"\nmsgstr "Noch einmal"'), encoding="utf-8"
    )
    main(["de"], tmp_path)  # what is there is kept
    assert messages.use_language("de", folder=tmp_path)
    assert messages.languages() == ["en", "de"]
    assert messages._("Try again") == "Noch einmal"
    assert messages._("Searching") == "Searching"  # not translated yet: English


def test_a_message_is_said_again_in_another_language() -> None:
    """What a model keeps, such as why a part is closed, is read by people of several languages."""
    kept = messages._("Block {i} of {n}").format(i=messages._("key"), n=3)
    assert kept == "Block key of 3"
    with messages.speaking("ja"):
        assert messages.language() == "ja"
        assert messages.again(kept) == "ブロックキー／3"
        assert messages.again("Block 1 of 3") == "Block 1 of 3"  # a text, and no message
    assert messages.language() == "en"
    assert messages.again(kept) == kept
    assert type(pickle.loads(pickle.dumps(kept))) is str


def test_a_plural_is_said_again_with_its_number() -> None:
    with messages.speaking("ja"):
        kept = messages.plural("{n} token", "{n} tokens", 1).format(n=1)
    assert kept == "1トークン"
    assert messages.again(kept) == "1 token"


def test_a_thread_speaks_the_language_of_whoever_started_it() -> None:
    heard: list[str] = []
    with messages.speaking("ja"):
        bound = messages.same_language(lambda: heard.append(messages._("temperature")))
    for target in (bound, lambda: heard.append(messages._("temperature"))):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert heard == ["温度", "temperature"]


def test_the_page_counts_before_the_request_and_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = ["ja"]
    monkeypatch.setattr(messages, "_of_page", lambda: pages[0] if pages else None)
    assert messages.language() == "ja"
    with messages.speaking("en"):
        assert messages._("temperature") == "temperature"
    pages.clear()
    context = contextvars.copy_context()
    context.run(messages.answer_in, "ja")
    assert context.run(messages._, "temperature") == "温度"
    assert messages._("temperature") == "temperature"


def test_a_package_has_a_catalogue_of_its_own(tmp_path: Path) -> None:
    catalogue = Catalog(locale="ja")
    catalogue.add("Surprise", "驚き")
    (tmp_path / "ja" / "LC_MESSAGES").mkdir(parents=True)
    with (tmp_path / "ja" / "LC_MESSAGES" / "their_package.mo").open("wb") as file:
        write_mo(file, catalogue)
    say = messages.of_package("their_package", tmp_path)
    title = say("Surprise")
    assert title == "Surprise"
    with messages.speaking("ja"):
        assert say("Surprise") == messages.again(title) == "驚き"
        assert say("temperature") == "temperature"  # ours is not theirs
