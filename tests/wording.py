"""What is wrong with a sentence of the page, by the glossary (docs/glossary.md) and its rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"

LONGEST = 30
"""Words of a sentence."""
SHORT_ROOMS = ("views/flow/", "page/top_bar/", "page/timeline/")
"""Where sentences stand in tooltips, legends and over a picture."""
LONGEST_THERE = 25

LONGEST_TITLE = 5

AXES = ("who looks (query) ↓", "at whom (key) →", "who looks (query) ←")
"""The titles of the axes of every attention matrix, said as no other sentence is."""

COUNTS_FROM_0 = (
    "In the link, blocks, heads and tokens count from 0; on the page, from 1.",
    "The position of the token, as the model counts it: from 0.",
    "Code counts blocks, heads and tokens from 0.",
    "Names in code count from 0:",
    "(Neurons are numbered from 0.)",
)
"""The sentences that are about counting from 0."""


@cache
def avoided() -> dict[str, re.Pattern[str]]:
    """The words of the glossary's last columns, each with what finds it in a message."""
    found: dict[str, re.Pattern[str]] = {}
    for cells in rows(GLOSSARY.read_text(encoding="utf-8")):
        for word in filter(None, (word.strip() for word in cells[-1].split(";"))):
            found[word] = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return found


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the glossary's tables, without heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] != "word" and not set(cells[0]) <= {"-"}:
            yield cells if not line.endswith("| |") else [*cells[:-1], cells[-1].rstrip("| ")]


def problems(message: str, file: str = "") -> list[str]:
    """What is wrong with a message; ``file`` is its module, by its path in the package."""
    said = re.sub(r"<code>.*?</code>|`[^`]*`", "x", message)
    said = re.sub(r"</?\w+>", "", said)
    for axis in AXES:
        said = said.replace(axis, "")
    wrong = [f"says {word!r}" for word, pattern in avoided().items() if pattern.search(said)]
    wrong += _rules(said, message)
    most = LONGEST_THERE if file.startswith(SHORT_ROOMS) else LONGEST
    for sentence in sentences(said):
        if (n := len(sentence.split())) > most:
            wrong.append(f"has a sentence of {n} words: {sentence!r}")
    return wrong


def sentences(text: str) -> Iterator[str]:
    """A message's sentences: titles before a bar, paragraphs and what ends in a full stop, a colon or a semicolon."""
    for part in re.split(r"\n\n|\|", text):
        yield from filter(None, re.split(r"(?<=[.!?:;])\s+", part.strip()))


def _rules(said: str, message: str) -> list[str]:
    wrong = []
    if re.search(r"(?<!residual )\bstreams?\b", said, re.IGNORECASE):
        wrong.append("says “stream” without “residual”")
    if "“ " in said:
        wrong.append("has a blank behind a quotation mark")
    if re.search(r"\bfrom 0\b(?! to|\.\d)", said) and not any(sentence in message for sentence in COUNTS_FROM_0):
        wrong.append("counts from 0")
    if re.search(r"\w'(?:t|re|ve|ll)\b", said):
        wrong.append("has a contraction")
    if re.search(r"(?<![(=':])\.\.\.(?![)',])", said):
        wrong.append("has three full stops for an ellipsis")
    if re.search(r"(?<!there )(?<!where )\b(?:is|are) no\b(?! longer)", said, re.IGNORECASE):
        wrong.append("says “is no” for “is not a”")
    if re.search(r"\S  +\S", said) and len(said.split()) > LONGEST_TITLE:
        wrong.append("has two blanks in a row")
    return wrong
