"""The page says one word for each thing, in plain sentences: every message keeps to docs/glossary.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from tests.test_messages import KEYWORDS
from tests.wording import GLOSSARY, ROOT, avoided, problems, rows

PACKAGE = ROOT / "txpanel"


def messages() -> Iterator[tuple[str, str]]:
    """Every message of the Python modules, with its file."""
    found = extract_from_dir(PACKAGE, method_map=[("**.py", "python")], keywords=KEYWORDS)
    for file, _line, text, _comments, _context in found:
        for one in text if isinstance(text, tuple) else (text,):
            yield file, one


def literals() -> Iterator[tuple[str, str]]:
    """The texts of the browser's modules that a person could read: what is in quotation marks and has two words or more."""
    for path in sorted(PACKAGE.rglob("*.js")):
        if "served" in path.parts or "compat" in path.parts:
            continue
        code = re.sub(r"/\*.*?\*/|(?m:(?:^|\s)//.*$)", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for quoted in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code):
            if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}", quoted) and not re.search(r"[{};<>]|math", quoted):
                yield str(path.relative_to(PACKAGE)), quoted


def headings() -> Iterator[tuple[str, str]]:
    """The headings of the documentation; what happened before is history."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
            yield str(path.relative_to(ROOT)), heading


def test_every_message_keeps_to_the_glossary() -> None:
    found = list(messages())
    assert len(found) > 1500
    assert not [f"{file}: {text!r} {wrong}" for file, text in found if (wrong := problems(text, file))]


def test_the_browser_says_nothing_of_its_own() -> None:
    """What it says comes from the catalogue: a sentence in a module could not be translated."""
    assert not list(literals())


def test_headings_keep_to_the_glossary() -> None:
    found = list(headings())
    assert len(found) > 50
    assert not [f"{file}: {text!r} {wrong}" for file, text in found if (wrong := problems(text))]


def test_the_glossary_has_one_row_for_each_word() -> None:
    listed = [cells[0] for cells in rows(GLOSSARY.read_text(encoding="utf-8"))]
    assert len(listed) > 50
    assert len(listed) == len(set(listed))
    assert {"residual stream", "attention pattern", "temperature", "top-p (nucleus)"} <= set(listed)
    assert "likeliest" in avoided()


SAID_BEFORE = [
    "It was chosen when txpanel was started.",
    "As many tokens as were asked for.",
    "Somebody chose “{taken}” here. The draw (u = {u}) falls on “{drawn}” ({p}).",
    "Here <q>{query}</q> takes <b>{share}</b> of what it fetches from the <v>value</v> of <k>{key}</k>.",
    "On this text it spreads its attention <b>broadly</b>: {share} of the greatest spread there is.",
    "weigh by what arrives",
    "middle {v}",
    "bar: largest of its run|Vectors longer than the strip has room for.",
    "its one operand",
    "sum of the powers",
    "e to that",
    "The way of",
    "grey before, blue after; longest hands cut at the ring",
    "each neuron adds its own direction, as often as its value says",
    "no run of so many tokens comes twice; 0: off",
    "keep the least surprising surprises up to this probability; 1: all",
    "these scores stay as they are, all others are shut.",
    "whole text, max-pooled",
]


@pytest.mark.parametrize("sentence", SAID_BEFORE)
def test_what_teachers_tripped_over_is_refused(sentence: str) -> None:
    assert problems(sentence)


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("norm of the stream", "residual"),
        ("What comes after “ the”?", "blank"),
        ("counted from 0", "counts from 0"),
        ("It can't be opened.", "contraction"),
        ("Loading ...", "three full stops"),
        ("Scores of each head  and its pattern", "two blanks"),
        ("{name} is no number.", "is no"),
        (" ".join(["word"] * 31) + ".", "31 words"),
        ("The likeliest token", "likeliest"),
        ("What attention writes", "writes"),
    ],
)
def test_a_bad_sentence_is_refused_and_says_why(sentence: str, why: str) -> None:
    assert any(why in one for one in problems(sentence))


def test_tooltips_are_shorter(tmp_path: Path) -> None:
    sentence = " ".join(["word"] * 28) + "."
    assert not problems(sentence, "models/loading.py")
    assert problems(sentence, "views/flow/words.py")


@pytest.mark.parametrize(
    "sentence",
    [
        "Attention weight of the query {q} on the key {k}.",
        "in each: who looks (query) ↓, at whom (key) →",
        "Norm of the residual stream of {token} before this block.",
        "This run has no tensor named '{name}'.",
    ],
)
def test_a_good_sentence_passes(sentence: str) -> None:
    assert not problems(sentence)
