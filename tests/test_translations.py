"""Every sentence stands in every language that txpanel ships, complete, with the words of docs/glossary.md; numbers and plurals as Babel has them."""

from __future__ import annotations

import io
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from tests.test_messages import KEYWORDS
from tests.wording import GLOSSARY, ROOT
from txpanel import messages
from txpanel.lessons.reading import read_lesson
from txpanel.toolkit.format import count, number

PACKAGES = [ROOT / "txpanel", *sorted(path.parent for path in ROOT.glob("plugins/*/*/locales"))]
FILES = [path for package in PACKAGES for path in sorted(package.glob("locales/*/LC_MESSAGES/*.po"))]
IDS = [f"{path.stem}-{path.parts[-3]}" for path in FILES]
FIELDS = re.compile(r"\{[^{}]*\}|</?\w+>|\|(?=\S)|\n\n|`[^`]+`")
"""What is filled in, marks, the bar between a title and its sentence, paragraphs, code."""
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
TERMS = {
    "attention pattern", "attention score", "attention sink", "attention weight", "branch", "cosine", "decoder", "embedding", "encoder", "entropy",
    "expert", "gate", "induction head", "KV cache", "log p", "logit", "logit lens", "mask token", "neuron", "next token", "norm", "position embedding",
    "probability", "prompt", "query", "residual stream", "rotary embedding", "router", "sampling", "seed", "softmax", "surprisal", "temperature", "token",
    "token mixer", "tokenizer", "unembedding", "vocabulary", "visitor", "activation function", "beam search", "head",
}  # fmt: skip
"""Words of the glossary that mean one thing wherever they stand."""


@cache
def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def sentences(path: Path) -> list[Message]:
    return [message for message in catalogue(path) if message.id]


def said(message: Message) -> list[str]:
    return list(message.string) if message.pluralizable else [message.string]


def asked(message: Message) -> str:
    """In English; of several forms the one for many."""
    return message.id[-1] if message.pluralizable else message.id


@cache
def terms() -> dict[str, str]:
    """The Japanese word of each term of the glossary."""
    found: dict[str, str] = {}
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) >= 4 and cells[0] != "word":
            english = re.split(r", | and ", re.sub(r" \(.*?\)", "", cells[0]))
            japanese = re.sub(r"[（(].*?[）)]", "", cells[-2]).split("、")
            found |= dict(zip(english, japanese, strict=False))
    return found


def test_japanese_is_there() -> None:
    assert messages.languages() == ["en", "ja"]
    assert {"txpanel-ja", "txpanel_logit_lens-ja"} <= set(IDS)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_message_is_in_the_catalogue(path: Path) -> None:
    """Whoever writes a sentence runs scripts/messages and translates it."""
    folder = path.parents[3]
    extracted = extract_from_dir(folder, method_map=[("**.py", "python")], keywords=KEYWORDS)
    wanted = {text if isinstance(text, str) else text[0] for _file, _line, text, _comments, _context in extracted} - {
        ""
    }
    known = {message.id[0] if message.pluralizable else message.id for message in sentences(path)}
    assert wanted == known


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_message_lacks_its_translation(path: Path) -> None:
    assert not [asked(message) for message in sentences(path) if message.fuzzy or not all(said(message))]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_is_filled_in_is_the_same(path: Path) -> None:
    """A sentence that asks for a value it is not given breaks the page; one that leaves it out says less."""
    wrong = [
        (asked(message), text)
        for message in sentences(path)
        for text in said(message)
        if set(FIELDS.findall(text)) != set(FIELDS.findall(asked(message)))
    ]
    assert not wrong
    for message in sentences(path):
        for text in said(message):
            marks, given = Counter(re.findall(r"</?\w+>", text)), Counter(re.findall(r"</?\w+>", asked(message)))
            assert marks == given, text


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_the_page_reads_is_what_was_translated(path: Path) -> None:
    """The compiled catalogue is in git: scripts/messages writes it."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(path))
    assert path.with_suffix(".mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[-3] == "ja"], ids=lambda path: path.stem)
def test_japanese_says_the_words_of_the_glossary(path: Path) -> None:
    assert terms().keys() >= TERMS
    wrong = []
    for message in sentences(path):
        plain = re.sub(r"<code>.*?</code>|`[^`]*`|“[^”]*”|\w[\w.]*\([^()]*\)|\{[^{}]*\}|</?\w+>", "x ", asked(message))
        for english in TERMS:
            if re.search(rf"(?<![\w_.-]){re.escape(english)}(?:s|es)?(?![\w_.-])", plain, re.IGNORECASE):
                wrong += [(english, asked(message), text) for text in said(message) if terms()[english] not in text]
    assert not wrong


COMMANDS = r"\{[^{}]*\}|`[^`]*`|<code>.*?</code>|(?<![A-Za-z])(?:pip|txpanel) [a-z]+ [a-z. ]+"
UNTRANSLATED = re.compile(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}")


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[-3] == "ja"], ids=lambda path: path.stem)
def test_japanese_is_written_as_japanese(path: Path) -> None:
    wrong = []
    for message in sentences(path):
        for text in said(message):
            plain = re.sub(r"</?\w+>|(?a:\w[\w.^]*)\([^()]*\)", "", text)  # without marks, calls and powers
            prose = re.sub(COMMANDS, "", text)
            if UNTRANSLATED.search(prose):
                wrong.append(("English", text))
            if re.search(
                r"[\u3040-\u30ff\u4e00-\u9fff](?:[,.!?:;](?![A-Za-z])|[()])|[()][\u3040-\u30ff\u4e00-\u9fff]", plain
            ):
                wrong.append(("half-width sign", text))
            if re.search(r"[\u3040-\u30ff\u4e00-\u9fff] +[\u3040-\u30ff\u4e00-\u9fff]", plain):
                wrong.append(("blank between words", text))
            if (
                " " in asked(message)
                and asked(message).endswith(".")
                and not asked(message).endswith(("...", "}."))
                and not plain.rstrip().endswith(("。", "・"))
            ):
                wrong.append(("no full stop", text))
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_plurals_are_those_of_the_language(path: Path) -> None:
    rule = get_plural(path.parts[-3])
    assert (catalogue(path).num_plurals, catalogue(path).plural_expr) == (rule.num_plurals, rule.plural_expr)
    assert all(len(said(message)) == rule.num_plurals for message in sentences(path) if message.pluralizable)


@pytest.mark.parametrize("code", messages.languages())
@pytest.mark.parametrize("value", [0, 7, 1234, 135_000_000, 23_252.0, 41.67, 7.125])
def test_numbers_are_written_as_in_the_language(code: str, value: float) -> None:
    """The page writes numbers in one way, which English and Japanese share. A language with another one has to change that."""
    written = count(value) if isinstance(value, int) else number(value)
    assert written == format_decimal(value, locale=code)


README = ROOT / "README.md", ROOT / "README.ja.md"


def test_both_readmes_say_the_same_of_models_commands_and_pictures() -> None:
    english, japanese = (path.read_text(encoding="utf-8") for path in README)
    for what in (r"^\| `([\w.-]+)` \|", r"\]\(((?:docs|examples|plugins)[\w./#-]*|CHANGELOG.md|LICENSE)\)"):
        theirs, ours = set(re.findall(what, japanese, re.MULTILINE)), set(re.findall(what, english, re.MULTILINE))
        assert theirs - ours <= {"docs/glossary.md"}
        assert ours - theirs <= {
            "docs/images/views-phone.png", "docs/families.md#models-that-fill-gaps", "docs/families.md#encoder-decoders"
        }  # fmt: skip
    blocks = [re.sub(r"#[^\n]*", "", block) for block in re.findall(r"```sh\n(.*?)```", japanese, re.DOTALL)]
    assert blocks == [re.sub(r"#[^\n]*", "", block) for block in re.findall(r"```sh\n(.*?)```", english, re.DOTALL)]


def test_the_japanese_readme_has_the_figures_of_the_english_one() -> None:
    english, japanese = (path.read_text(encoding="utf-8") for path in README)
    for row in re.findall(r"^\| `([\w.-]+)` \| .+? \| (.+?) \| (.+?) \|", english, re.MULTILINE):
        named = next(line for line in japanese.splitlines() if line.startswith(f"| `{row[0]}` |"))
        figures = re.findall(r"[\d.,]+", f"{row[1]} {row[2]}")
        assert re.findall(r"[\d.,]+", " ".join(named.split(" | ")[2:4])) == figures, row


COURSE = sorted(path.parent for path in (ROOT / "txpanel" / "lessons" / "course").glob("*/en.md"))


@pytest.mark.parametrize("code", messages.languages()[1:])
@pytest.mark.parametrize("folder", COURSE, ids=lambda folder: folder.name)
def test_every_lesson_is_there_with_the_same_values(folder: Path, code: str) -> None:
    english, twin = read_lesson(folder, "en"), read_lesson(folder, code)
    assert twin.title != english.title
    for own, other in zip(english.steps, twin.steps, strict=True):
        assert other.title != own.title
        assert Counter(map(repr, own.values())) == Counter(map(repr, other.values())), own.id
        assert [block.only for block in own.blocks if block.only] == [
            block.only for block in other.blocks if block.only
        ]
