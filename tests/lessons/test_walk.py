"""A lesson gone through by code: the same values and verdicts as on the page, from the run that is there when it is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from tests.lessons.lesson_files import write
from txpanel.errors import BadLesson, Unsupported
from txpanel.lessons import Walk
from txpanel.lessons.by_code import doing
from txpanel.lessons.confusions import confusion
from txpanel.lessons.expressions import parse
from txpanel.lessons.lesson import Goal, Task
from txpanel.lessons.rendering import plain_text
from txpanel.lessons.situation import situation_of
from txpanel.lessons.telling import markdown, told
from txpanel.lessons.values import evaluate
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.toolkit.format import percent

TEXT = "CABCAB="


@pytest.fixture
def state(nano: LanguageModel) -> ModelState:
    return ModelState(model=nano, text=TEXT)


@pytest.fixture
def walk(state: ModelState) -> Walk:
    return Walk("attention", state)


def test_a_step_moves_the_state_and_says_its_numbers(walk: Walk, state: ModelState) -> None:
    state.focus(query=2, layer=1)
    said = str(walk.step("w-o"))
    assert (state.query, state.layer) == (6, 1)
    added = (
        float(state.trace["blocks.1.attn_out"][6].values.astype(float) @ state.trace["blocks.1.attn_out"][6].values)
        ** 0.5
    )
    assert f"{added:.2f}" in said
    assert "softmax" in walk.steps()


def test_the_verdicts_are_those_of_the_page(walk: Walk) -> None:
    assert "percent" in str(walk.step("softmax"))
    rest = others(walk.state)
    assert str(walk.check("softmax", rest)).startswith("Right.")
    assert "always add up to 100 %" in str(walk.check("softmax", np.float64(rest)))
    assert "among them" in str(walk.check("softmax", 100))
    assert "shares of one whole" in str(walk.check("softmax", 7))
    walk.step("which-is-which")
    here = situation_of(walk.state)
    assert here is not None
    query, key = (int(evaluate(parse(f"pair.{name}"), here).raw) + 1 for name in ("query", "key"))
    assert str(walk.check("which-is-which", [query, key])).startswith("Right.")
    turned = str(walk.check("which-is-which", [key, query]))
    assert turned.startswith("Not quite.")
    assert confusion("query-key") in turned
    asked = str(walk.step("values"))
    assert "1: “" in asked
    said = [str(walk.check("values", n)).split("\n")[0] for n in (1, 2, 3, 4)]
    assert sorted(said[:3]) == ["Not quite.", "Not quite.", "Right."]
    assert said[3] not in said[:3]
    assert str(walk.check("values", "product")).startswith("Right.")  # the option's id


def others(state: ModelState) -> float:
    """Of the last token's attention weights in the first head, those on all tokens but the first, in percent."""
    row = state.trace["blocks.0.pattern"].values[0, -1].astype(float)
    return round(100 * float(row[1:].sum()), 1)


def test_an_answer_is_judged_on_the_live_run(walk: Walk, state: ModelState) -> None:
    walk.step("mask")
    assert str(walk.check("mask", 4)).startswith("Right.")  # the middle one of 7 tokens
    state.text = "CABCABCAB="
    assert not str(walk.check("mask", 4)).startswith("Right.")
    assert str(walk.check("mask", 6)).startswith("Right.")


def test_a_question_is_judged_where_it_was_asked(walk: Walk, state: ModelState) -> None:
    """Another step, or the learner, has moved the state in between."""
    shown = str(walk.step("values"))
    told_then, there = str(walk.answer("values")), (state.layer, state.head, state.query)
    state.focus(head=(state.head + 1) % 4, layer=1 - state.layer, query=1)
    assert str(walk.answer("values")) == told_then
    assert (state.layer, state.head, state.query) != there
    assert str(walk.step("values")) == shown  # it is about a head that it chooses: one is brought back to it
    assert (state.layer, state.head, state.query) == there


@pytest.mark.parametrize("answer", [None, "much", True, [1], [1, 2, 3], float("nan"), {"a": 1}, 10**400])
def test_what_is_no_answer_gets_a_sentence(walk: Walk, answer: object) -> None:
    for step in ("softmax", "values", "which-is-which"):
        walk.step(step)
        said = str(walk.check(step, answer))
        assert said
        assert "Right" not in said


def test_hints_come_one_after_the_other(walk: Walk) -> None:
    walk.step("values")
    assert str(walk.hint("values")) == "What is added is weight times value."
    assert str(walk.hint("values")).count("\n\n") == 1
    assert str(walk.hint("values")).count("\n\n") == 1  # there are two
    assert str(walk.hint("qkv")) == "There is no hint."


def test_what_is_to_be_done(state: ModelState) -> None:
    walk = Walk("next-token", state)
    walk.step("move-it")
    assert str(walk.check("move-it")).startswith("Not yet.")
    state.temperature = 0.2
    done = str(walk.check("move-it"))
    assert done.startswith("Well done.")
    assert state.sampled is not None
    assert percent(float(state.sampled.probabilities.max())) in done
    assert str(walk.answer("move-it")) == "Nothing is asked here on this run."


def test_what_is_clicked_on_the_page_is_said_in_code(state: ModelState) -> None:
    """Each task of the course that asks for something to be done says how, and the line does something."""
    for name in ("tour", "attention", "break-it"):
        walk = Walk(name, state)
        for step in walk.lesson.steps:
            if step.task is not None and step.task.kind == "do" and step.id in walk.steps():
                assert "state." not in str(walk.step(step.id)), "a newcomer reads the sentences first"
                said = str(walk.hint(step.id))
                assert "state." in said or "page of txpanel" in said, (name, step.id)
    walk = Walk("tour", state)
    walk.step("attention")
    said = str(walk.hint("attention"))
    assert 'state.ask("blocks.0.pattern", head=0, query=1, key=0)' in said
    assert "from 0" in said
    state.ask("blocks.0.pattern", head=0, query=1, key=0)
    assert str(walk.check("attention")).startswith("Well done.")


def test_a_step_that_the_model_does_not_have(state: ModelState) -> None:
    walk = Walk("modern-models", state)
    assert "rotation" not in walk.steps()
    assert str(walk.step("rotation")) == "This model or text does not have what this step is about."
    assert str(walk.check("rotation", "yes")) == "Nothing is asked here on this run."


def test_impossible_requests_are_refused_in_words(state: ModelState, tmp_path: Path) -> None:
    with pytest.raises(BadLesson, match="attention"):
        Walk("no-such-lesson", state)
    with pytest.raises(BadLesson, match="softmax"):
        Walk("attention", state).step("nothing")
    with pytest.raises(Unsupported, match="run"):
        Walk("attention", ModelState())
    folder = write(tmp_path / "mine", "---\ntitle: Mine\nneeds: rotary\n---\n\n(one)=\n## A step\n\nx\n")
    with pytest.raises(Unsupported, match="rotary"):
        Walk(folder, state)


def test_a_walk_in_japanese_speaks_japanese(state: ModelState) -> None:
    walk = Walk("attention", state, language="ja")
    walk.step("softmax")
    assert "正解" in str(walk.check("softmax", others(state)))


# -- Markdown --------------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "*a*", "_a_", "`", "``a`", "[a](javascript:b)", "![a](b)", "$x$", "\\(x\\)", "&lt;", "a\nb", "# a", "- a", "1. a", "~~a~~", "https://a.b",
    "<!--", "|a|b|", " ", "", "\\", "a\\*b", "]]>", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["", "token", "live", "b", "i", "code"])
def test_markdown_leaves_text_as_it_is(text: str, kind: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable("strikethrough").enable("table")
    tokens = parser.parse(markdown([("", "A "), (kind, text), ("", " b.")]))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    inside = tokens[1].children or []
    assert {one.type for one in inside} <= {"text", "code_inline", "html_inline", "text_special"}
    assert {one.content for one in inside if one.type == "html_inline"} <= {
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<span>",
        "</span>",
    }
    said = "".join(one.content for one in inside if one.type != "html_inline")
    plain = text.replace("\x00", "\ufffd")
    assert said.split() == f"A {plain} b.".replace("a\nb", "a\ufffdb" if kind == "token" else "a b").split()


def test_plain_text_is_plain() -> None:
    found = told([("", "a "), ("token", "<b>")], [("", " ")])
    assert (str(found), repr(found)) == ("a <b>", "a <b>")
    assert plain_text([("", "a")]) == "a"


def test_the_line_of_code_is_for_the_number_that_is_asked_for() -> None:
    task = Task("do", (), reach=(Goal("asked", "is", "probs"),))
    assert doing(task) == ['state.ask("…")']
