"""The linter finds what an author has to mend, and nothing in the lessons that come with txpanel."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.lessons.lesson_files import write
from tests.lessons.test_reading import JAPANESE, WHOLE
from tests.wording import problems
from txpanel.errors import BadLesson
from txpanel.lessons.check import check_lesson
from txpanel.lessons.confusions import CONFUSIONS, confusion
from txpanel.lessons.course import FOLDER
from txpanel.lessons.discovery import GROUP, find_lessons, in_language, lessons_in
from txpanel.lessons.lesson import Runs
from txpanel.lessons.new import begin
from txpanel.lessons.shapes import NANO_TEXTS, TEXTS, shapes
from txpanel.models.language_model import LanguageModel

Models = list[tuple[LanguageModel, Sequence[str]]]
HEAD = "---\ntitle: A lesson\n---\n\n(one)=\n## A step\n\n"


@pytest.fixture(scope="module")
def models(nano: LanguageModel) -> Models:
    return [(nano, NANO_TEXTS), *((model, texts) for model, texts in shapes() if model.name != "nano")]


def test_our_own_lessons_have_no_problems(models: Models) -> None:
    found = find_lessons()
    assert found
    assert not [one.error for one in found if one.error]
    assert not [str(problem) for one in found for problem in check_lesson(one.folder, models)]


def test_our_own_lessons_keep_to_the_glossary() -> None:
    wrong = []
    for found in lessons_in(FOLDER):
        assert found.lesson is not None
        for step in found.lesson.steps:
            wrong += [
                f"{found.id}/{step.id} {where}: {one}" for where, runs in step.runs() for one in problems(_said(runs))
            ]
    assert not wrong, "\n".join(wrong)


def _said(runs: Runs) -> str:
    return "".join("{value}" if kind == "value" else str(text) for kind, text in runs)


def test_each_confusion_has_a_question_in_the_course() -> None:
    asked = set()
    steps = [step for found in lessons_in(FOLDER) if found.lesson is not None for step in found.lesson.steps]
    for task in filter(None, (step.task for step in steps)):
        asked |= {one.confusion for one in (*task.options, *task.wrong)}
    assert asked - {""} == set(CONFUSIONS)
    assert len(steps) > 50


def test_all_confusions_have_words() -> None:
    assert len(CONFUSIONS) == 10
    assert all(confusion(name).endswith(".") for name in CONFUSIONS)
    assert confusion("") == ""


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{value}`model.window`", "window"),  # nano has none, and the step does not say that it needs one
        ("x\n\n:::{look}\nopen: no-such-view\n:::", "no-such-view"),
        ("x\n\n:::{look}\nmodel: no-such-model\n:::", "no-such-model"),
        ("x\n\n:::{look}\nsettings: {temperature: 1e6}\n:::", "temperature"),
        ("x\n\n:::{look}\nlayer: token.id(99)\n:::", "token 100"),
        ("x\n\n:::{do}\nask: x\nreach: {temperature: above 100000}\n:::", "never gets there"),
        ("x\n\n:::{do}\nask: x\nreach: {opened: is no-such-view}\n:::", "no-such-view"),
        ("x\n\n:::{predict} number\nask: x\nanswer: model.experts\n:::", "no experts"),
        ("x\n\n:::{predict} choice\nask: x\nanswer: tokens.count\noptions:\n  a: {text: a, value: 900}\n  b: {text: b, value: 901}\n:::", "one of the options"),
        ("x\n\n:::{look}\nonly: sinks\n:::\n\n:::{predict} number\nask: x\nanswer: tokens.count\n:::", "No model"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(tmp_path: Path, nano: LanguageModel, step: str, says: str) -> None:
    folder = write(tmp_path / "mine", HEAD + step + "\n")
    found = [str(one) for one in check_lesson(folder, [(nano, NANO_TEXTS)])]
    assert any(says in one and "mine/en/one" in one for one in found), found


def test_a_question_that_some_texts_cannot_have_is_all_right(tmp_path: Path, nano: LanguageModel) -> None:
    step = "x\n\n:::{look}\nonly: repeats\n:::\n\n:::{predict} number\nask: x\nanswer: repeat\n:::\n"
    assert not check_lesson(write(tmp_path / "mine", HEAD + step), [(nano, ("AAB=", "CABCAB=", "BB=A", "ABC="))])


def test_languages_are_compared(tmp_path: Path) -> None:
    folder = write(write(tmp_path / "whole", WHOLE), JAPANESE, "ja")
    assert [str(one) for one in check_lesson(folder, [])] == []
    changed = JAPANESE.replace("{value}`tokens.count`個の", "")
    assert "values" in str(check_lesson(write(folder, changed, "ja"), [])[0])
    assert "de.md" in str(check_lesson(write(folder, JAPANESE, "ja"), [], ["en", "ja", "de"])[0])
    assert "occurs twice" in str(check_lesson(write(folder, JAPANESE + "(first)=\n## x\n", "ja"), [])[0])


def test_a_new_lesson_passes(tmp_path: Path, models: Models) -> None:
    path = begin(tmp_path / "my-lesson")
    assert not check_lesson(path.parent, models)
    with pytest.raises(BadLesson, match="already"):
        begin(tmp_path / "my-lesson")
    with pytest.raises(BadLesson, match="name"):
        begin(tmp_path / "My Lesson")


# -- finding them ----------------------------------------------------------------------------------------------------------------


def entry(folder: object, monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    import tests.lessons.lesson_files as module

    monkeypatch.setattr(module, "LESSONS", folder, raising=False)
    return EntryPoint("others", "tests.lessons.lesson_files:LESSONS", GROUP)


def test_lessons_of_a_plugin_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fine", WHOLE)
    write(tmp_path / "broken", "no lesson")
    found = {one.id: one for one in find_lessons([entry(tmp_path, monkeypatch)])}
    assert found["fine"].lesson is not None
    assert found["broken"].lesson is None
    assert "title" in found["broken"].error


@pytest.mark.parametrize("leads_to", [3, None, "/no/such/folder"])
def test_a_plugin_that_leads_nowhere_stops_nobody(monkeypatch: pytest.MonkeyPatch, leads_to: object) -> None:
    (found,) = find_lessons([entry(leads_to, monkeypatch)])
    assert found.lesson is None
    assert found.error


def test_an_id_that_another_package_has_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "two"):
        (tmp_path / package).mkdir()
        write(tmp_path / package / "fine", WHOLE)
    import tests.lessons.lesson_files as module

    monkeypatch.setattr(module, "ONE", tmp_path / "one", raising=False)
    monkeypatch.setattr(module, "TWO", tmp_path / "two", raising=False)
    entries = [EntryPoint(name, f"tests.lessons.lesson_files:{name}", GROUP) for name in ("ONE", "TWO")]
    used, left_out = find_lessons(entries)
    assert (used.folder.parent.name, used.error) == ("one", "")
    assert (left_out.folder.parent.name, left_out.lesson) == ("two", None)
    assert "left out" in left_out.error


def test_a_package_that_fails_does_not_take_an_id_from_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "letters", WHOLE)
    broken = EntryPoint("letters", "no.such.module:LESSONS", GROUP)
    used, left_out = find_lessons([broken, entry(tmp_path, monkeypatch)])
    assert used.lesson is not None
    assert "ModuleNotFoundError" in left_out.error


@pytest.mark.parametrize("text", ["---\ntitle: a\x07b\n---\n", HEAD + "x\n\n:::{look}\nlit: \x01\n:::\n"])
def test_a_control_character_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    write(tmp_path / "odd", text)
    write(write(tmp_path / "fine", WHOLE), text, "ja")
    found = {one.id: one for one in find_lessons([entry(tmp_path, monkeypatch)])}
    assert "special characters" in found["odd"].error
    assert in_language(found["fine"], "ja").title == "A lesson"
    assert "special characters" in str(check_lesson(tmp_path / "odd", [])[0])


def test_whatever_a_file_does_stops_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_given: object) -> None:
        raise RecursionError("too deep\nby far")

    write(tmp_path / "deep", WHOLE)
    monkeypatch.setattr("txpanel.lessons.discovery.read_lesson", fails)
    (found,) = find_lessons([entry(tmp_path, monkeypatch)])
    assert "RecursionError: too deep by far" in found.error


def test_a_byte_order_mark_and_what_is_too_deep(tmp_path: Path) -> None:
    assert check_lesson(write(tmp_path / "mark", "\ufeff" + HEAD + "x\n"), []) == []
    deep = write(tmp_path / "deep", HEAD + "x\n\n:::{look}\nlit: " + "[" * 50 + "\n:::\n")
    assert str(check_lesson(deep, [])[0]).endswith("This is nested too deeply.")


def test_a_language_that_is_broken_falls_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(write(tmp_path / "whole", WHOLE), JAPANESE, "ja")
    (found,) = lessons_in(folder)
    assert in_language(found, "ja_JP").title == "レッスン"
    assert in_language(found, "de").title == "A lesson"
    write(write(tmp_path / "other", WHOLE), "no lesson", "ja")
    (found,) = lessons_in(tmp_path / "other")
    assert in_language(found, "ja").title == "A lesson"
    assert "translation" in caplog.text


def test_texts_are_enough() -> None:
    assert min(len(NANO_TEXTS), len(TEXTS)) >= 3
