"""A lesson as a notebook: valid, without outputs, and its cells run from top to bottom and judge what is answered."""

from __future__ import annotations

import ast
import os
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.lessons.handout.printed import lesson, run
from txpanel.lessons.discovery import find_lessons
from txpanel.lessons.handout import notebook as module
from txpanel.lessons.handout.notebook import notebook
from txpanel.models.language_model import LanguageModel

ROOT = Path(__file__).parents[3]
HOSTILE = "\"\"\"'''\\\n{}<script>\x00"


def cells(text: str, kind: str = "code") -> list[str]:
    """The cells of a notebook that is valid."""
    found = nbformat.reads(text, as_version=4)
    nbformat.validate(found)
    return [cell.source for cell in found.cells if cell.cell_type == kind]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", [found.id for found in find_lessons()])
def test_every_lesson_makes_a_valid_one(nano: LanguageModel, name: str, language: str) -> None:
    read = lesson(name, language)
    for here in (None, run(nano, "CBABBC=")):
        text = notebook(read, "nano", "CBABBC=", here)
        code = cells(text)
        for cell in code:
            ast.parse(cell)
        assert len(nbformat.reads(text, as_version=4).cells) > len(read.steps) / 2
        assert ("use_language" in text) == (language == "ja")
    every = cells(notebook(read, "nano", "CBABBC="))
    assert [step.id for step in read.steps] == [
        found[1] for cell in every if (found := re.fullmatch(r"walk\.step\('(.+)'\)", cell))
    ]


def test_text_in_code_is_a_literal() -> None:
    code = cells(notebook(lesson("attention"), HOSTILE, HOSTILE, source=HOSTILE))
    for cell in code:
        ast.parse(cell)
    literals = [node.value for cell in code[:2] for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Constant)]
    assert literals.count(HOSTILE) == 3


def test_a_view_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("attention", "somebody.views:TheirView", module.VIEWS)
    monkeypatch.setattr(module.importlib.metadata, "entry_points", lambda group: [entry])
    assert "from somebody.views import TheirView\n\nTheirView(state)" in cells(
        notebook(lesson("attention"), "nano", "ABC=")
    )


def test_a_view_that_tells_the_answer_comes_behind_the_question() -> None:
    code = cells(notebook(lesson("text-to-tokens"), "nano", "ABC="))
    asked, view = (
        next(n for n, cell in enumerate(code) if part in cell)
        for part in ("walk.check('what-it-reads'", "EmbeddingView")
    )
    assert asked < view


def test_a_step_asks_what_can_be_decided_at_its_own_place(nano: LanguageModel) -> None:
    """The question about values is about a head that is looked for, and not about the one that was there before."""
    for text in ("CABCAB=", "CBABBC=", "EDCBA=", "BBDA=A"):
        assert any(
            "walk.check('values'" in cell
            for cell in cells(notebook(lesson("attention"), "nano", text, run(nano, text)))
        )


def test_that_code_counts_from_0_is_said_once() -> None:
    code = "\n".join(cells(notebook(lesson("tour"), "nano", "ABC=")))
    assert code.count("from 0") == 1
    assert code.index("head=0") < code.index("from 0") < code.index("state.head")
    assert "from 0" not in "\n".join(cells(notebook(lesson("writing"), "nano", "ABC=")))


@pytest.mark.sweep
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")
def test_it_runs_and_judges(nano: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, and with answers in it: wrong ones get what the page says to them."""
    found = nbformat.reads(notebook(lesson("attention"), "nano", "BBDA=A", run(nano, "BBDA=A")), as_version=4)
    for cell in found.cells:
        for step, answer in (("which-is-which", "[2, 3]"), ("mask", "4"), ("softmax", "1")):
            if cell.cell_type == "code" and f"walk.check('{step}', answer)" in cell.source:
                cell.source = cell.source.replace("answer = None", f"answer = {answer}")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    client = NotebookClient(found, timeout=300, resources={"metadata": {"path": str(ROOT)}}, kernel_name="python3")
    client.execute()
    said = {
        cell.source: "".join(str(out.data.get("text/markdown", "")) for out in cell.outputs if "data" in out)
        for cell in found.cells
        if cell.cell_type == "code"
    }
    checked = {step: text for source, text in said.items() for step in re.findall(r"walk\.check\('([\w-]+)'", source)}
    assert "Query and key are the same thing" in checked["which-is-which"]
    assert checked["mask"].startswith("<b>Right.</b>")
    assert "shares of one whole" in checked["softmax"]
    assert "missing" in checked["values"]
    assert "Not yet" in checked["heads"]
    steps = [text for source, text in said.items() if source.startswith("walk.step")]
    assert all(steps)
    views = [source for source in said if source.startswith("txpanel.views.")]
    assert views
    assert os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
