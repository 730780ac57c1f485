"""Where a learner is, what a step sets, and what comes of an answer: without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from txpanel.errors import Cancelled
from txpanel.lessons.discovery import Found, lessons_in
from txpanel.lessons.expressions import parse
from txpanel.lessons.page_parts import PLAYED
from txpanel.lessons.situation import situation_of
from txpanel.lessons.values import attention, evaluate, is_slow
from txpanel.models.language_model import LanguageModel
from txpanel.models.turns import Asking, asked_by
from txpanel.page.lessons import controller as module
from txpanel.page.lessons import looking
from txpanel.page.lessons.controller import LessonController
from txpanel.session.state import ModelState
from txpanel.tracing import head_scores as head_scores_module
from txpanel.tracing.head_scores import head_scores

LESSON = """---
title: Mine
---

(look)=
## Look

:::{look}
lit: attention
hide: next
query: 2
layer: last_block
settings: {temperature: 1.5}
open: mlp
:::

“{value}`token(query)`” and {value}`tokens.count`.

:::{only} rotary
Rotated.
:::

(guess)=
## Guess

:::{look}
hide: next
:::

x

:::{predict} number
ask: How many?
answer: tokens.count
wrong:
  twice: {value: 14, says: Twice as many., confusion: plans}
hints: [Count., Count more., "{value}`tokens.count`"]
after: "{value}`tokens.count` it is."
:::

(do)=
## Do

x

:::{do}
ask: Move it.
reach: {temperature: above 1.2}
:::

(cell)=
## A cell

x

:::{predict} cell
ask: Where?
answer: [4, 1]
wrong:
  turned: {value: [1, 4], says: Turned.}
:::

(rotary-only)=
## Not here

:::{look}
only: rotary
:::

x

(undecided)=
## Cannot be decided

x

:::{predict} number
ask: How many?
answer: model.experts
:::

(found)=
## Found

:::{look}
layer: found.block("previous")
head: found.head("previous")
:::

{value}`found.score("previous")`

(misleading)=
## Misleading

:::{look}
layer: misleading.block(last)
head: misleading.head(last)
:::

{value}`head`
"""
STEPS = ["look", "guess", "do", "cell", "rotary-only", "undecided", "found", "misleading"]


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "en.md").write_text(LESSON, encoding="utf-8")
    found: list[Found] = lessons_in(folder)
    monkeypatch.setattr(module, "find_lessons", lambda: found)


@pytest.fixture
def state(nano: LanguageModel) -> ModelState:
    return ModelState(model=nano, text="CBABBC=")


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def lesson(lessons: None, state: ModelState, opened: list[str]) -> Iterator[LessonController]:
    made = LessonController(opened.append, lambda: opened[-1] if opened else "")
    made.attach(state)
    yield made
    made.close()


def say(made: LessonController, kind: str, /, **more: Any) -> dict[str, Any]:
    made.component._handle_msg({"kind": kind, **more})
    return made.component.shown


def words(pairs: Any) -> str:
    return "".join(text for _kind, text in pairs)


def test_a_lesson_asked_for_while_the_model_loads_begins_when_it_is_there(lessons: None, state: ModelState) -> None:
    made = LessonController(lambda _view: None, lambda: "")
    assert say(made, "open", lesson="mine") == {}
    made.attach(state)
    assert made.component.shown["step"] == "look"
    assert not made.component.shown["busy"]
    made.close()


def test_a_lesson_left_again_while_the_model_loads_does_not_begin(lessons: None, state: ModelState) -> None:
    made = LessonController(lambda _view: None, lambda: "")
    say(made, "open", lesson="mine")
    say(made, "close")
    made.attach(state)
    assert made.component.shown == {}
    made.close()


def test_nothing_is_shown_before_a_lesson_is_opened(lesson: LessonController, state: ModelState) -> None:
    assert lesson.component.shown == {}
    assert lesson.component.lessons == [{"id": "mine", "title": "Mine", "minutes": 0, "steps": STEPS}]
    state.text = "AB="
    assert lesson.component.shown == {}


def test_a_step_sets_what_it_speaks_of_and_says_it_with_the_numbers_of_the_run(
    lesson: LessonController, state: ModelState, opened: list[str]
) -> None:
    shown = say(lesson, "open", lesson="mine")
    assert (state.query, state.layer, state.temperature, opened) == (2, 2, 1.5, ["mlp"])
    assert (shown["step"], shown["i"], shown["lit"]) == ("look", 0, ["attention"])
    assert shown["hidden"] == ["next"]  # for the question that comes
    assert shown["steps"] == ["look", "guess", "do", "cell", "undecided", "found", "misleading"]  # nano does not rotate
    (only,) = shown["paragraphs"]
    assert words(only) == "“A” and 7."
    assert ("token", "A") in only
    state.text = "BA="
    assert words(lesson.component.shown["paragraphs"][0]).endswith("and 3.")
    assert say(lesson, "close") == {}


def test_an_answer_is_judged_on_the_run_that_stands_there(lesson: LessonController, state: ModelState) -> None:
    shown = say(lesson, "open", lesson="mine", step="guess")
    assert (shown["task"]["kind"], shown["hidden"], shown["after"]) == ("number", ["next"], [])
    shown = say(lesson, "answer", answer=14)
    assert (shown["done"], words(shown["verdict"]["says"])) == (False, "Twice as many.")
    assert "The model plans the whole sentence." in shown["verdict"]["confusion"]
    assert [words(hint) for hint in say(lesson, "hint")["hints"]] == ["Count."]
    for _more in range(5):
        say(lesson, "hint")
    assert words(lesson.component.shown["hints"][-1]) == "7"
    state.text = "AB="
    assert "verdict" not in lesson.component.shown  # it was about the other text
    shown = say(lesson, "answer", answer=3)
    assert (shown["done"], shown["hidden"], words(shown["after"][0])) == (True, [], "3 it is.")


def test_a_cell_is_chosen_by_a_click_in_the_picture(lesson: LessonController, state: ModelState) -> None:
    state.ask("blocks.0.pattern", head=0, query=4, key=1)  # before anybody was asked
    assert not say(lesson, "open", lesson="mine", step="cell")["done"]
    state.ask("blocks.0.mlp_post", token=4, neuron=1)
    assert "verdict" not in lesson.component.shown
    state.ask("blocks.0.pattern", head=0, query=3, key=1)
    assert lesson.component.shown["verdict"]["right"] is False
    state.ask("blocks.0.scores", head=0, query=4, key=1)
    assert lesson.component.shown["done"]


def test_what_is_about_another_step_is_not_taken_for_this_one(lesson: LessonController) -> None:
    """A class may have gone on while a click was under way."""
    say(lesson, "open", lesson="mine", step="guess")
    for kind, more in (("answer", {"answer": 7}), ("hint", {}), ("reveal", {})):
        shown = say(lesson, kind, at="mine/cell", **more)
        assert ("verdict" in shown, shown["hints"], shown["revealed"]) == (False, [], "")
    assert say(lesson, "answer", at="mine/guess", answer=7)["done"]


def test_a_double_click_is_one_try(lesson: LessonController) -> None:
    say(lesson, "open", lesson="mine", step="guess")
    assert [say(lesson, "answer", answer=n)["verdict"]["tries"] for n in (14, 14, 15)] == [1, 1, 2]


def test_a_lesson_that_is_not_there_is_a_sentence(lesson: LessonController, state: ModelState) -> None:
    assert say(lesson, "open", lesson="<b>none</b>") == {}
    assert state.notice == "There is no lesson “<b>none</b>” here."
    assert say(lesson, "open", lesson="mine", step="9999")["step"] == "look"


def test_the_answer_can_be_shown(lesson: LessonController) -> None:
    say(lesson, "open", lesson="mine", step="guess")
    shown = say(lesson, "reveal")
    assert (shown["revealed"], shown["done"], words(shown["after"][0])) == ("7", False, "7 it is.")


def test_a_goal_counts_once_something_was_done(lesson: LessonController, state: ModelState) -> None:
    state.temperature = 1.8  # it is there already
    say(lesson, "open", lesson="mine", step="do")
    assert not lesson.component.shown["done"]
    state.temperature = 1.0
    assert not lesson.component.shown["done"]
    state.temperature = 1.3
    assert lesson.component.shown["done"]
    state.temperature = 0.5
    assert lesson.component.shown["done"]  # what was done stays done


def test_a_question_that_cannot_be_decided_is_left_out(lesson: LessonController) -> None:
    shown = say(lesson, "open", lesson="mine", step="undecided")
    assert (shown["step"], shown["task"]) == ("undecided", None)


def test_a_step_that_another_model_does_not_have_is_left_for_the_one_before(
    lesson: LessonController, state: ModelState, nano: LanguageModel, tiny: Callable[[str], LanguageModel]
) -> None:
    state.model = tiny("llama")
    assert say(lesson, "open", lesson="mine", step="rotary-only")["step"] == "rotary-only"
    assert words(say(lesson, "go", step="look")["paragraphs"][1]) == "Rotated."
    say(lesson, "go", step="rotary-only")
    state.model = nano
    assert lesson.component.shown["step"] == "cell"


def test_what_play_comes_to_is_said_in_the_tours_words(state: ModelState) -> None:
    made = LessonController(lambda _view: None, lambda: "")
    made.attach(state)
    say(made, "captions")
    said = {part: words(pairs) for part, pairs in made.component.captions.items()}
    assert list(said) == list(PLAYED)
    assert "48 numbers" in said["embedding"]  # the width of nano
    attention = said["attention"]
    assert "“=”" in attention
    state.text = "ABC"
    assert words(made.component.captions["attention"]) == attention  # said of the run with which it was asked for
    say(made, "captions")
    assert words(made.component.captions["attention"]) == attention.replace("“=”", "“C”")
    assert made.component.shown == {}
    made.close()


def test_heads_of_the_model_are_found(lesson: LessonController, state: ModelState, nano: LanguageModel) -> None:
    shown = say(lesson, "open", lesson="mine", step="found")
    found = head_scores(nano, "previous").values
    assert (state.layer, state.head) == np.unravel_index(int(found.argmax()), found.shape)
    assert words(shown["paragraphs"][0]).endswith("%")


class Later:
    """A worker whose jobs wait until they are asked for."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def submit(self, job: Any) -> None:
        self.jobs.append(job)

    def run(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job(None, lambda done: done())

    def cancel(self) -> None:
        self.jobs.clear()


def test_the_head_that_misleads_is_looked_for_beside_the_page(
    lessons: None, state: ModelState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page goes on meanwhile; it is looked for once, for both places and whoever comes back to the step."""
    later, looked = Later(), []
    monkeypatch.setattr(looking, "background", lambda **_options: later)
    monkeypatch.setattr(attention, "_most_misleading", WeakKeyDictionary())  # other tests look at the same run
    monkeypatch.setattr(attention, "_find_misleading", lambda _trace, query: looked.append(query) or (2, 1))
    made = LessonController(lambda _view: None, lambda: "")
    made.attach(state)
    shown = say(made, "open", lesson="mine", step="misleading")
    assert (shown["busy"], looked, state.layer) == (True, [], 0)
    say(made, "again")
    assert looked == [], "what is drawn meanwhile does not look for it on the page's thread"
    later.run()
    assert (made.component.shown["busy"], looked, state.layer, state.head) == (False, [6], 2, 1)
    say(made, "go", step="look")
    shown = say(made, "go", step="misleading")
    assert (shown["busy"], looked, later.jobs) == (False, [6], [])
    state.text = "BA="
    state.layer = 0
    say(made, "again")
    assert (looked, state.layer) == ([6], 0)
    later.run()
    assert (looked, state.layer) == ([6, 2], 2)
    made.close()


def test_what_nobody_waits_for_any_more_is_not_looked_for(
    lessons: None, state: ModelState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another step, another lesson, the box closed: the job is taken back. Who comes back to the step asks anew."""
    later = Later()
    monkeypatch.setattr(looking, "background", lambda **_options: later)
    monkeypatch.setattr(attention, "_most_misleading", WeakKeyDictionary())
    made = LessonController(lambda _view: None, lambda: "")
    made.attach(state)
    for kind, more in (("go", {"step": "look"}), ("open", {"lesson": "mine", "step": "guess"}), ("close", {})):
        say(made, "open", lesson="mine", step="misleading")
        assert later.jobs
        say(made, kind, **more)
        assert later.jobs == []
    assert say(made, "open", lesson="mine", step="misleading")["busy"]
    later.run()
    assert not made.component.shown["busy"]
    made.close()


def test_the_searches_stop_between_two_blocks(state: ModelState, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that was not finished is kept."""
    monkeypatch.setattr(attention, "_most_misleading", WeakKeyDictionary())
    monkeypatch.setattr(head_scores_module, "_kept", WeakKeyDictionary())
    here = situation_of(state)
    assert here is not None
    who = Asking("somebody")
    who.cancel.set()
    for name in ("misleading.block(last)", 'found.score("previous")'):
        with asked_by(who), pytest.raises(Cancelled):
            evaluate(parse(name), here)
        assert is_slow(parse(name), here)
        assert evaluate(parse(name), here)
        assert not is_slow(parse(name), here)


@pytest.mark.parametrize(
    "message",
    [
        {}, {"kind": "none"}, {"kind": "_on_open"}, {"kind": "answer"}, {"kind": "answer", "answer": {"a": 1}}, {"kind": "answer", "answer": "x" * 99},
        {"kind": "go", "step": 7}, {"kind": "go", "step": "<b>"}, {"kind": "open", "lesson": "../../etc"}, {"kind": "open", "lesson": 3, "step": []},
        {"kind": "load"}, {"kind": "text"}, {"kind": "hint", "n": 9}, {"kind": "reveal"}, {"kind": "again"}, {"kind": ["open"]}, "open", None, 3,
    ],
)  # fmt: skip
def test_whatever_a_browser_says_leaves_a_step(lesson: LessonController, state: ModelState, message: Any) -> None:
    say(lesson, "open", lesson="mine", step="guess")
    lesson.component._handle_msg(message)
    assert lesson.component.shown["step"] in ("guess", "look")
    assert state.error is None


def test_before_there_is_a_run_a_lesson_can_be_opened(lessons: None) -> None:
    made = LessonController(lambda _name: None, lambda: "")
    made.attach(ModelState())
    shown = say(made, "open", lesson="mine")
    assert (shown["step"], shown["busy"]) == ("look", True)
    made.close()
