"""``txpanel lessons handout`` and ``notebook``."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.lessons.lesson_files import write
from txpanel.models.choice import Choice
from txpanel.models.language_model import LanguageModel
from txpanel.server import cli, loading

Capture = pytest.CaptureFixture[str]
MINE = "---\ntitle: Mine\n---\n\n(one)=\n## A step\n\n{value}`tokens.count` tokens in {value}`model`.\n"


@pytest.fixture(autouse=True)
def chosen(nano: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --model it is the nano model; loading it anew takes a second each time."""
    monkeypatch.setenv("TXPANEL_MODEL", "nano")


def test_a_handout_is_written_to_a_file(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "paper.html"
    assert cli.main(["lessons", "handout", "attention", "--model", "nano", "--text", "CABCAB=", "-o", str(path)]) == 0
    assert "paper.html" in capsys.readouterr().out
    page = path.read_text(encoding="utf-8")
    assert "CABCAB=" in page
    assert '<html lang="en">' in page
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lessons", "handout", "sorting", "--language", "ja"]) == 0  # its own model and text
    assert "CBABBC=" in (tmp_path / "sorting.ja.html").read_text(encoding="utf-8")


def test_a_notebook_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "mine", MINE)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lessons", "notebook", "mine", "--text", "ABC="]) == 0
    found = nbformat.read(tmp_path / "mine.ipynb", as_version=4)
    assert f"Walk({str(folder)!r}, state)" in found.cells[2].source
    assert "txpanel.load('nano')" in found.cells[2].source
    assert "text='ABC='" in found.cells[2].source


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["no-such-lesson"], "no lesson “no-such-lesson”"),
        (["attention", "--model", "no/such-model"], "no/such-model"),
        (["attention", "--model", "nano", "--text", ""], "There is no text yet"),
        (["attention", "-o", "no/such/folder/a.html"], "There is no folder"),
        (["attention", "-o", "a.pdf"], "must end in .html"),
        (["attention", "--language", "xx"], "There is no language xx"),
        (["attention", "-o", "taken.html"], "cannot be written"),
    ],
)
def test_impossible_requests_are_refused_in_words(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, more: list[str], says: str
) -> None:
    (tmp_path / "taken.html").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lessons", "handout", *more]) == 1
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err


def test_the_model_s_own_example_is_the_text(
    tmp_path: Path, nano: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from txpanel.page.top_bar.words import default_text

    monkeypatch.setattr(loading, "load_chosen", lambda name: (nano, Choice("nano", "")))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lessons", "handout", "attention"]) == 0
    assert default_text("nano") in (tmp_path / "attention.html").read_text(encoding="utf-8")
