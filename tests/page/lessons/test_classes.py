"""A class across pages, without a browser: the leader's steps, the followers' answers, and what is held back until it is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import segno

from txpanel.lessons.classroom import MOST
from txpanel.lessons.classroom import classes as all_classes
from txpanel.lessons.discovery import lessons_in
from txpanel.models.language_model import LanguageModel
from txpanel.page.lessons import class_part
from txpanel.page.lessons import controller as module
from txpanel.page.lessons.controller import LessonController
from txpanel.session.state import ModelState

LESSON = """---
title: Mine
---

(one)=
## One

x

:::{predict} choice
ask: Which?
answer: tokens.count
options:
  seven: {value: "7", text: Seven}
  eight: {value: "8", text: Eight, says: One too many., confusion: plans}
after: Seven it is.
:::

(two)=
## Two

x

:::{predict} number
ask: How many?
answer: tokens.count
:::

(three)=
## Three

x

:::{do}
ask: Move it.
reach: {temperature: above 1.2}
:::

(four)=
## Four

x

:::{predict} cell
ask: Where?
answer: [4, 1]
:::
"""
WHO = ["0123456789abcdef", "fedcba9876543210", "00000000000000aa"]
Page = Callable[..., LessonController]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nano: LanguageModel) -> Iterator[Page]:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "en.md").write_text(LESSON, encoding="utf-8")
    found = lessons_in(folder)
    monkeypatch.setattr(module, "find_lessons", lambda: found)
    monkeypatch.setattr(class_part.ClassPart, "offered", staticmethod(lambda: True))
    made: list[LessonController] = []

    def make(text: str = "CBABBC=") -> LessonController:
        one = LessonController(lambda _view: None, lambda: "")
        one.attach(ModelState(model=nano, text=text, temperature=1.0))
        made.append(one)
        return one

    yield make
    for one in made:
        one.teaching.part.end()
        one.close()
    assert all_classes._all == {}


def say(one: LessonController, kind: str, /, **more: Any) -> dict[str, Any]:
    one.component._handle_msg({"kind": kind, **more})
    return one.component.shown


def begun(page: Page) -> tuple[LessonController, str]:
    teacher = page()
    say(teacher, "open", lesson="mine")
    say(teacher, "class")
    return teacher, teacher.component.classed["code"]


def joined(page: Page, code: str, n: int, text: str = "CBABBC=") -> LessonController:
    one = page(text)
    say(one, "join", code=code, who=WHO[n])
    return one


def votes(teacher: LessonController) -> dict[str, int]:
    return {row.get("option") or row["text"]: row["n"] for row in teacher.component.classed["votes"]}


def test_followers_come_in_at_the_step_that_is_shown_and_go_along(page: Page) -> None:
    teacher, code = begun(page)
    say(teacher, "go", step="two")
    early = joined(page, code.lower(), 0)
    assert early.component.shown["step"] == "two"
    say(teacher, "go", step="three")
    assert early.component.shown["step"] == "three"
    assert joined(page, code, 1).component.shown["step"] == "three"
    assert teacher.component.classed["members"] == 2
    say(early, "go", step="one")  # somebody looks back
    assert early.component.classed["here"] is False
    say(early, "join", code=code, who=WHO[0])
    assert early.component.shown["step"] == "three"
    assert teacher.component.classed["members"] == 2
    early.close()
    assert teacher.component.classed["members"] == 1


def test_answers_are_counted_by_option_and_held_back_until_they_are_shown(page: Page) -> None:
    teacher, code = begun(page)
    first, second = joined(page, code, 0), joined(page, code, 1)
    shown = say(first, "answer", answer="eight")
    assert (shown["held"], shown["given"], shown["done"], shown.get("after", [])) == (
        True,
        "eight",
        False,
        [],
    )
    assert "verdict" not in shown
    assert not shown.get("revealed")
    say(first, "reveal")  # not theirs to ask for
    assert first.component.shown["held"]
    say(first, "answer", answer="seven")
    say(second, "answer", answer="eight")
    say(second, "answer", answer="none of them")
    say(second, "answer", answer=["eight"])
    classed = teacher.component.classed
    assert (classed["members"], classed["answered"], votes(teacher)) == (2, 2, {"seven": 1, "eight": 1})
    assert not any(row["right"] for row in classed["votes"])
    say(teacher, "reveal")
    assert [row["option"] for row in teacher.component.classed["votes"] if row["right"]] == ["seven"]
    right, wrong = first.component.shown, second.component.shown
    assert (right["held"], right["done"], right["verdict"]["right"]) == (False, True, True)
    assert (wrong["held"], wrong["done"], wrong["revealed"]) == (False, False, "Seven")
    assert "The model plans the whole sentence." in wrong["verdict"]["confusion"]
    late = joined(page, code, 2)
    assert late.component.shown["revealed"] == "Seven"
    for one in (second, late):  # now that it is on the screen it does not count any more
        say(one, "answer", answer="seven")
    assert votes(teacher) == {"seven": 1, "eight": 1}


def test_other_answers_are_counted_by_what_they_are(page: Page) -> None:
    teacher, code = begun(page)
    first, second = joined(page, code, 0), joined(page, code, 1)
    say(teacher, "go", step="two")
    say(first, "answer", answer=7)
    say(second, "answer", answer=7.5)
    assert votes(teacher) == {"7": 1, "7.5": 1}
    third = joined(page, code, 2)
    say(second, "answer", answer=-0.0)
    say(third, "answer", answer=0)
    assert votes(teacher) == {"7": 1, "0": 2}
    say(teacher, "reveal")
    assert [row["text"] for row in teacher.component.classed["votes"] if row["right"]] == ["7"]
    say(teacher, "go", step="four")
    say(first, "answer", answer=[4, 1])
    say(second, "answer", answer=[1, 4])
    assert votes(teacher) == {"2 · B → 5 · B": 1, "5 · B → 2 · B": 1}
    say(teacher, "go", step="three")
    assert first._state is not None
    first._state.temperature = 1.5
    assert votes(teacher) == {"done": 1}
    assert first.component.shown["done"]
    assert not second.component.shown["done"]


def test_the_class_is_offered_its_text_and_judged_on_its_own(page: Page) -> None:
    _teacher, code = begun(page)
    other = joined(page, code, 0, text="AB=")
    assert other.component.classed["text"] == "CBABBC="
    assert other._state is not None
    say(other, "classtext")
    assert other._state.text == "CBABBC="
    assert other.component.classed["text"] == ""


def test_the_class_is_offered_its_model(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, code = begun(page)
    first = joined(page, code, 0)
    assert first.component.classed["model"] == ""
    place = teacher.teaching.part.room.place  # type: ignore[union-attr]
    monkeypatch.setattr(teacher.teaching.part.room, "place", replace(place, model="smollm2-135m"))
    loaded: list[str] = []
    assert first._state is not None
    monkeypatch.setattr(first._state, "load", loaded.append)
    say(first, "again")
    assert "SmolLM2" in first.component.classed["model"]
    say(first, "classmodel")
    assert loaded == ["smollm2-135m"]
    first.teaching._fixed = first._fixed = True
    say(first, "classmodel")
    assert (first.component.classed["model"], loaded) == ("", ["smollm2-135m"])


@pytest.mark.parametrize("answer", [-5, 99, 1e14, 1.5, [-1, 0], [3, 99], [0.5, 1], [[1], 2], None])
def test_a_token_that_is_not_there_is_no_answer_and_the_teacher_goes_on(page: Page, answer: Any) -> None:
    teacher, code = begun(page)
    first = joined(page, code, 0, text="CBABBCAAAAAAAA=")
    say(teacher, "go", step="four")
    say(first, "answer", answer=answer)
    assert teacher.component.classed["answered"] == 0
    say(first, "answer", answer=[14, 13])  # a token of a longer text
    assert votes(teacher) == {"15 → 14": 1}
    say(teacher, "go", step="one")
    assert first.component.shown["step"] == "one"


def test_a_copy_of_the_teachers_tab_takes_over_and_the_first_one_follows(page: Page) -> None:
    teacher, code = begun(page)
    first, copy = joined(page, code, 0), page()
    say(copy, "open", lesson="mine", step="two")
    say(copy, "lead", code=code, key=teacher.component.classed["key"])
    assert (copy.component.classed["leads"], teacher.component.classed["leads"]) == (True, False)
    assert copy.component.classed["members"] == 1
    assert teacher._state is not None
    assert "Another page leads the class now." in teacher._state.notice
    teacher._state.notice = ""
    say(teacher, "go", step="one")  # looks back, and takes nobody along
    assert first.component.shown["step"] == "two"
    say(copy, "go", step="three")
    assert teacher.component.shown["step"] == first.component.shown["step"] == "three"
    assert teacher._state.notice == ""
    say(teacher, "end")  # not its own any more
    assert first.component.classed
    say(copy, "end")
    assert teacher.component.classed == {}


def test_a_class_ends(page: Page) -> None:
    teacher, code = begun(page)
    first = joined(page, code, 0)
    say(first, "end")  # not theirs
    assert teacher.component.classed
    say(teacher, "end")
    assert (teacher.component.classed, first.component.classed) == ({}, {})
    assert first._state is not None
    assert "over" in first._state.notice
    assert first.component.shown["step"] == "one"  # whoever is in it may go on alone
    say(first, "join", code=code, who=WHO[0])
    assert f"There is no class {code}" in first._state.notice


def test_whoever_has_its_key_leads_it_again_after_a_reload(page: Page) -> None:
    teacher, code = begun(page)
    key = teacher.component.classed["key"]
    first = joined(page, code, 0)
    assert "key" not in first.component.classed
    teacher.close()
    again = page()
    say(again, "lead", code=code, key="x" * len(key))
    assert again.component.classed == {}
    say(again, "open", lesson="mine", step="two")
    assert first.component.shown["step"] == "one"
    say(again, "lead", code=code, key=key)
    assert again.component.classed["leads"]
    assert first.component.shown["step"] == "two"


def test_the_address_says_lesson_step_and_class(page: Page) -> None:
    teacher, code = begun(page)
    moves: list[dict[str, str]] = []
    teacher.on_moved = lambda: moves.append(teacher.in_address())
    say(teacher, "go", step="two")
    assert moves == [{"lesson": "mine", "step": "two", "class": code}]
    say(teacher, "close")
    assert moves[-1] == {"lesson": "", "step": "", "class": code}
    visitor = page()
    visitor.begin("mine", "two", code)
    assert visitor.component.shown["step"] == "two"
    assert visitor.component.wanted == code
    assert visitor.in_address()["class"] == code
    visitor.begin(code="<b>")
    assert visitor.component.wanted == code
    visitor.begin(code="abc")  # no code that a class could have: joining it says so
    assert visitor.component.wanted == "ABC"


def test_without_the_operators_word_there_are_no_classes(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_part.ClassPart, "offered", staticmethod(lambda: False))
    one = page()
    assert not one.component.classes
    say(one, "open", lesson="mine")
    say(one, "class")
    assert one.component.classed == {}
    assert one._state is not None
    assert "no classes" in one._state.notice


def test_the_code_of_an_address_is_the_standards(page: Page) -> None:
    one = page()
    address = "http://school.example:5006/txpanel?lesson=mine&class=ABCDEF"
    say(one, "qr", address=address)
    rows = one.component.qr["rows"]
    assert [[int(module) for module in row] for row in rows] == [
        [int(bool(module)) for module in row] for row in segno.make_qr(address, error="m").matrix
    ]
    assert {len(row) for row in rows} == {len(rows)}
    say(one, "qr", address=address + "x" * 2000)
    assert one.component.qr["rows"] == []
    for hostile in (None, 3, "javascript:alert(1)", ["http://x"]):
        say(one, "qr", address=hostile)
        assert one.component.qr["rows"] == []


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "join"}, {"kind": "join", "code": 7, "who": []}, {"kind": "join", "code": "ABCDEF", "who": "<b>"}, {"kind": "lead"},
        {"kind": "lead", "code": "ABCDEF", "key": "ü"},
        {"kind": "leave"}, {"kind": "end"}, {"kind": "qr"}, {"kind": "classtext"}, {"kind": "want"}, {"kind": "show"},
    ],
)  # fmt: skip
def test_whatever_a_browser_says_of_a_class_is_a_sentence_or_nothing(page: Page, message: dict[str, Any]) -> None:
    teacher, code = begun(page)
    first = joined(page, code, 0)
    for each in (first, page()):
        each.component._handle_msg(message)
        each.component._handle_msg(message | ({"code": code} if "code" in message else {}))
        assert each._state is not None
        assert each._state.error is None
    assert teacher.component.classed["leads"]


def test_too_many_classes_are_a_sentence(page: Page) -> None:
    leaders = [page() for _n in range(3)]
    rooms = [all_classes.begin(str(n), lambda: None) for n in range(MOST)]
    say(leaders[0], "class")
    assert leaders[0]._state is not None
    assert "try again later" in leaders[0]._state.notice
    for room in rooms:
        room.end()


def test_a_lesson_is_taken_along_as_a_file(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    one = page()
    sent: list[dict[str, str]] = []
    monkeypatch.setattr(one.component, "_send_msg", sent.append)
    say(one, "file", what="handout")
    assert sent == []  # no lesson is open
    say(one, "open", lesson="mine")
    say(one, "file", what="handout")
    say(one, "file", what="notebook")
    paper, book = (base64.b64decode(each["data"]).decode() for each in sent)
    assert [each["name"] for each in sent] == ["mine.html", "mine.ipynb"]
    assert "CBABBC=" in paper
    assert "Seven it is." in paper
    assert json.loads(book)["nbformat"] == 4


def test_a_file_that_cannot_be_made_is_a_sentence(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    one = page()
    sent: list[dict[str, str]] = []
    monkeypatch.setattr(one.component, "_send_msg", sent.append)
    say(one, "open", lesson="mine")

    def broken(*_given: object, **_named: object) -> str:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("txpanel.lessons.handout.page.handout", broken)
    say(one, "file", what="handout")
    assert sent == [{"kind": "none"}]  # the button can be pressed again
    assert one._state is not None
    assert one._state.notice == "The file could not be made: by zero"
    assert one.component.shown["step"] == "one"
