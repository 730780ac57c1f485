"""``txpanel lessons`` and what stands below it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from txpanel.lessons import shapes
from txpanel.lessons.discovery import Found, lessons_in
from txpanel.lessons.new import begin
from txpanel.models.language_model import LanguageModel
from txpanel.server import cli

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def one_model(nano: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the linter does on every shape is tested where it is."""
    monkeypatch.setattr(shapes, "shapes", lambda: iter([(nano, shapes.NANO_TEXTS)]))


def test_installed_lessons_are_listed(capsys: Capture) -> None:
    assert cli.main(["lessons"]) == 0
    assert "The tour" in capsys.readouterr().out
    assert cli.main(["lessons", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["lesson"]: row["error"] for row in rows}["tour"] is None


def test_a_new_lesson_and_its_check(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "letters"
    assert cli.main(["lessons", "new", str(folder)]) == 0
    assert "lessons check" in capsys.readouterr().out
    assert cli.main(["lessons", "check", str(folder)]) == 0
    assert "1 lesson on nano: 0 problems" in capsys.readouterr().out
    path = folder / "en.md"
    path.write_text(path.read_text(encoding="utf-8").replace("query: last", "query: token.id(99)"), encoding="utf-8")
    assert cli.main(["lessons", "check", str(folder)]) == 1
    assert "letters/en/attention" in capsys.readouterr().out
    assert cli.main(["lessons", "check", str(folder), "--languages", "en,ja", "--json"]) == 1
    assert {"ja.md" in row["said"] for row in json.loads(capsys.readouterr().out)} == {True, False}


def test_installed_lessons_are_checked_by_their_ids(capsys: Capture) -> None:
    assert cli.main(["lessons", "check", "sorting", "text-to-tokens", "--languages", "en,ja"]) == 0
    assert "2 lessons on nano: 0 problems" in capsys.readouterr().out
    assert cli.main(["lessons", "check", "sorting", "letters"]) == 1
    assert "“letters”" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_said_and_the_rest_is_checked(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Found("broken", "others", Path(), None, "It could not be loaded."),
        *lessons_in(begin(tmp_path / "fine").parent),
    ]
    monkeypatch.setattr("txpanel.lessons.discovery.find_lessons", lambda: found)
    assert cli.main(["lessons", "check"]) == 1
    said = capsys.readouterr().out
    assert "broken: It could not be loaded." in said
    assert "2 lessons" in said
    assert "1 problem" in said


def test_impossible_requests_are_refused_in_words(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["lessons", "check", str(tmp_path)]) == 1
    assert "no lesson" in capsys.readouterr().err
    assert cli.main(["lessons", "new", str(tmp_path / "Not A Name")]) == 1
    assert "name of a lesson" in capsys.readouterr().err
