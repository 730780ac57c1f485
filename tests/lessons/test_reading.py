"""A lesson's file says what it says, and everything else is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lessons.lesson_files import STEP, lesson, task, write
from txpanel.errors import BadLesson
from txpanel.lessons.expressions import parse
from txpanel.lessons.lesson import Block, Goal, Look
from txpanel.lessons.reading import parse_file, read_lesson

WHOLE = """---
title: A lesson
order: 3
minutes: 4
needs: attention causal
---

What it is about.

(first)=
## The *first* step

:::{look}
lit: attention, next
hide: next
play: attention
open: attention
query: last
layer: 2
settings: {temperature: 1.5}
only: rotary
:::

A **bold** word, `code`, and {value}`tokens.count` tokens <b>x</b>.

:::{only} gated, not-experts
Only here.
:::

:::{predict} choice
ask: Which?
answer: largest("one", attention.norm(last), "two", mlp.norm(last))
options:
  one:
    text: The first
  two:
    text: "{value}`token(last)`"
    says: No, and here is why.
    confusion: query-key
hints: [Look again.]
after: |
  So it is.

  And more.
:::
"""


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    found = read_lesson(write(tmp_path / "whole", WHOLE))
    assert (found.id, found.title, found.order, found.minutes) == ("whole", "A lesson", 3, 4)
    assert found.needs == ("attention", "causal")
    assert found.intro == (Block((("", "What it is about."),)),)
    (step,) = found.steps
    assert (step.id, step.only, step.line) == ("first", ("rotary",), 11)
    assert step.title == (("", "The "), ("i", "first"), ("", " step"))
    assert step.look == Look(
        lit=("attention", "next"), hidden=("next",), play="attention", open="attention",
        places=(("layer", 2.0), ("query", parse("last"))), settings=(("temperature", 1.5),),
    )  # fmt: skip
    first, second = step.blocks
    assert first.runs[1] == ("b", "bold")
    assert ("value", parse("tokens.count")) in first.runs
    assert first.runs[-1] == ("", " tokens <b>x</b>.")  # text, never HTML
    assert second.only == ("gated", "not-experts")
    assert step.task is not None
    one, two = step.task.options
    assert (one.value, two.confusion) == ("one", "query-key")
    assert len(step.task.after) == 2


def test_goals_and_tolerance(tmp_path: Path) -> None:
    found = (
        task(tmp_path, "do", "ask: Do it.\nreach: {temperature: above 1.2, head: changed, opened: is attention}")
        .steps[0]
        .task
    )
    assert found is not None
    assert found.reach == (
        Goal("temperature", "above", "1.2"),
        Goal("head", "changed"),
        Goal("opened", "is", "attention"),
    )
    found = task(tmp_path, "number", "ask: How many?\nanswer: tokens.count\nwithin: 10 %").steps[0].task
    assert found is not None
    assert (found.within, found.relative) == (0.1, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# One sign\n", "line 5"),
        ("## No id\n", "line 5"),
        (STEP + STEP, "occurs twice"),
        (STEP + "\n- a list\n", "bullet_list"),
        (STEP + "\n> quoted\n", "blockquote"),
        (STEP + "\n![x](y)\n", "image"),
        (STEP + "\n[x](javascript:alert)\n[y](http://z)\n", "link"),
        (STEP + "\n```\ncode\n```\n", "fence"),
        (STEP + "\n{value}`open('x')`\n", "line 10"),
        (STEP + "\n{value}`no.such`\n", "no.such"),
        (STEP + "\n{raw}`x`\n", "myst_role"),
        (STEP + "\n:::{script}\nx\n:::\n", "script"),
        (STEP + "\n:::{look}\nlit: moon\n:::\n", "moon"),
        (STEP + "\n:::{look}\nlit: next\nlit: mlp\n:::\n", "occurs twice"),
        (STEP + "\n:::{look}\na: &a b\nlit: *a\n:::\n", "aliases"),
        (STEP + "\n:::{look}\nlit: !!python/object/apply:os.system [x]\n:::\n", "no part “x”"),
        (STEP + "\n:::{look}\nquery: 'x(' \n:::\n", "line 10"),
        (STEP + "\n:::{look}\nsettings: {temperature: hot}\n:::\n", "hot"),
        (STEP + "\n:::{look}\nsettings: {nothing: 1}\n:::\n", "nothing"),
        (STEP + "\n:::{only} sunny\nx\n:::\n", "sunny"),
        ("Only an intro.\n", "one step"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadLesson, match=says):
        lesson(tmp_path, text)


@pytest.mark.parametrize(
    ("kind", "yaml", "says"),
    [
        ("choice", "ask: x\nanswer: tokens.count\noptions: {a: {text: a}}", "two options"),
        ("choice", "ask: x\nanswer: tokens.count", "two options"),
        ("number", "ask: x", "answer"),
        ("number", "answer: tokens.count", "missing"),
        ("number", "ask: x\nanswer: tokens.count\nwithin: much", "within"),
        ("cell", "ask: x\nanswer: [last]", "two"),
        ("essay", "ask: x\nanswer: tokens.count", "predict choice"),
        ("number", "ask: x\nanswer: tokens.count\nhints: [a, b, c, d]", "3 hints"),
        ("number", "ask: x\nanswer: tokens.count\nwrong: {a: {says: x, confusion: nothing}}", "confusion"),
        ("number", "ask: x\nanswer: tokens.count\nwrong: [x]", "id for each"),
        ("do", "ask: x", "reach"),
        ("do", "ask: x\nreach: {moon: changed}", "moon"),
        ("do", "ask: x\nreach: {temperature: hot}", "hot"),
        ("do", "ask: x\nreach: {text: above 3}", "goal"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(tmp_path: Path, kind: str, yaml: str, says: str) -> None:
    with pytest.raises(BadLesson, match=says):
        task(tmp_path, kind, yaml)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from(":{}()=#-|>&*!`'\"\n ab1[]<%+\\\t\x00"), max_size=200))
def test_any_text_is_a_lesson_or_refused_in_words(text: str) -> None:
    try:
        parse_file(text)
    except BadLesson as error:
        assert str(error)


@pytest.mark.parametrize("bytes_", [b"\xff\xfe\x00", b"x" * 900_000])
def test_a_file_that_is_no_text_or_too_long(tmp_path: Path, bytes_: bytes) -> None:
    folder = write(tmp_path / "mine", "")
    (folder / "en.md").write_bytes(bytes_)
    with pytest.raises(BadLesson):
        read_lesson(folder)


# -- another language ------------------------------------------------------------------------------------------------------------

JAPANESE = """---
title: レッスン
---

何についてか。

(first)=
## 最初の段階

**太字**と`code`、{value}`tokens.count`個のトークン。

:::{only} gated, not-experts
ここだけ。
:::

:::{predict} choice
ask: どちらですか。
options:
  one:
    text: 一つ目
  two:
    text: "{value}`token(last)`"
    says: いいえ。
hints: [もう一度見てください。]
after: |
  そうです。
:::
"""


def test_another_language_has_the_texts_and_the_english_file_the_rest(tmp_path: Path) -> None:
    folder = write(write(tmp_path / "whole", WHOLE), JAPANESE, "ja")
    english, japanese = read_lesson(folder), read_lesson(folder, "ja")
    assert (japanese.title, japanese.minutes, japanese.language) == ("レッスン", 4, "ja")
    one, other = english.steps[0], japanese.steps[0]
    assert other.look == one.look
    assert one.task is not None
    assert other.task is not None
    assert other.task.answer == one.task.answer
    assert [option.confusion for option in other.task.options] == ["", "query-key"]
    assert other.task.options[0].text == (("", "一つ目"),)


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("(first)=", "(other)=", "first"),
        ("  two:\n", "  three:\n", "ids"),
        ("    says: いいえ。", "    confusion: query-key", "confusion"),
        ("hints: [もう一度見てください。]", "hints: []", "hints"),
        ("ask: どちらですか。", "ask: どちらですか。\nanswer: tokens.count", "answer"),
        ("title: レッスン", "title: レッスン\norder: 3", "order"),
        (":::{predict} choice", ":::{predict} number", "kind"),
        ("**太字**", "x\n\n:::{look}\nlit: next\n:::\n\n**太字**", "look"),
    ],
)
def test_a_language_that_is_not_in_step_is_refused(tmp_path: Path, was: str, now: str, says: str) -> None:
    assert was in JAPANESE
    folder = write(write(tmp_path / "whole", WHOLE), JAPANESE.replace(was, now, 1), "ja")
    with pytest.raises(BadLesson, match=says):
        read_lesson(folder, "ja")
