"""Reading a handout again: its pictures as trees, its pages as text."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

from txpanel.lessons.discovery import find_lessons, in_language
from txpanel.lessons.lesson import Lesson
from txpanel.lessons.situation import Situation, situation_of
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState


def run(model: LanguageModel, text: str, **given: float) -> Situation:
    """A run as a lesson sees it."""
    found = situation_of(ModelState(model=model, text=text, **{"temperature": 0.7, "top_p": 0.9, **given}))
    assert found is not None
    return found


def lesson(name: str, language: str = "en") -> Lesson:
    """One of our own lessons."""
    return in_language(next(one for one in find_lessons() if one.id == name), language)


def halves(page: str) -> tuple[str, str]:
    """The pages with the questions, and those with the answers."""
    questions, behind, answers = page.partition('<div class="answers">')
    assert behind
    return questions, answers


def sections(part: str) -> list[str]:
    """Each step, or each answer."""
    return re.findall(r"<section.*?</section>", part, re.DOTALL)


def section(part: str, heading: str) -> str:
    """The step or answer of a heading."""
    (found,) = (one for one in sections(part) if heading in words(one.split("</h2>")[0]))
    return found


def words(part: str) -> str:
    """What a person reads."""
    bare = re.sub(r"<style>.*?</style>", "", part, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", bare))).strip()


def drawings(part: str) -> list[ElementTree.Element]:
    """The pictures; whatever is no well-formed tree fails."""
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", part, re.DOTALL)]


def labels(drawing: ElementTree.Element) -> list[str]:
    """All texts of a picture, in the order in which they were drawn."""
    return [text.text or "" for text in drawing.iter("text")]


def drawn(part: str, label: str) -> list[ElementTree.Element]:
    """The pictures of a kind, by what they are called for people who do not see them."""
    return [drawing for drawing in drawings(part) if drawing.get("aria-label") == label]
