"""Finds mistakes in a lesson before it is used: every value, state and question is tried on several models and texts."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from txpanel.decoding.ranges import RANGES, within
from txpanel.errors import BadLesson, TxpanelError, Unsupported
from txpanel.lessons.conditions import holds
from txpanel.lessons.goals import reached
from txpanel.lessons.lesson import Goal, Lesson, Runs, Step
from txpanel.lessons.placing import placed
from txpanel.lessons.reading import LANGUAGE, languages, read_lesson
from txpanel.lessons.rendering import MOST_TOKENS, sentence
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import judge, right_answer
from txpanel.lessons.values import evaluate
from txpanel.messages import _
from txpanel.models.catalogue import find

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

__all__ = ["Problem", "check_lesson"]

ENOUGH = 3
"""A question must have exactly one right answer on at least so many texts of each model."""
VIEWS = "txpanel.views"


@dataclass(frozen=True)
class Problem:
    """A mistake in a lesson: lesson, language and step (empty: the file as a whole), and a sentence that says what is wrong."""

    lesson: str
    language: str
    step: str
    said: str

    def __str__(self) -> str:
        where = "/".join(part for part in (self.lesson, self.language, self.step) if part)
        return f"{where}: {self.said}"


def check_lesson(
    folder: Path,
    models: Iterable[tuple[LanguageModel, Sequence[str]]],
    wanted: Sequence[str] = (LANGUAGE,),
) -> list[Problem]:
    """All problems of a lesson's folder.

    Args:
        models: those to try it on, with texts for each. wanted: languages that it must have.
    """
    try:
        lesson = read_lesson(folder)
    except BadLesson as error:
        return [Problem(folder.name, LANGUAGE, "", str(error))]
    found = list(_static_problems(lesson))
    found += [
        Problem(lesson.id, code, "", _("There is no file {file}.").format(file=f"{code}.md"))
        for code in wanted
        if code not in languages(folder)
    ]
    twins = []
    for code in languages(folder):
        if code != LANGUAGE:
            try:
                twins.append(read_lesson(folder, code))
            except BadLesson as error:
                found.append(Problem(lesson.id, code, "", str(error)))
    for twin in twins:
        found += _translation_problems(lesson, twin)
    asked = _Questions(lesson)
    for model, texts in models:
        for text in texts:
            here = _situation(model, lesson.text if lesson.text and lesson.model == model.name else text)
            if here is None:
                continue
            for at in (replace(here, on_page=True), here):  # on the page, and off it
                if holds(lesson.needs, at):
                    for one in (lesson, *twins):
                        found += _run_problems(one, at)
            if holds(lesson.needs, here):
                asked.on(model, replace(here, on_page=True))
    return list(dict.fromkeys([*found, *asked.problems()]))


def _situation(model: LanguageModel, text: str) -> Situation | None:
    from txpanel.session.state import ModelState  # late: torch; reading a lesson needs none

    try:
        state = ModelState(model=model, text=text)
        return situation_of(state)
    except TxpanelError:
        return None  # this model does not read that text


# -- checks without a run -----------------------------------------------------------------------------------------------------------


def _static_problems(lesson: Lesson) -> Iterable[Problem]:
    """Problems that need no run: a view that is not installed, an unknown model, a goal or a setting out of its range."""
    views = {entry.name for entry in importlib.metadata.entry_points(group=VIEWS)}
    if lesson.model and find(lesson.model) is None:
        yield Problem(lesson.id, LANGUAGE, "", _("There is no model “{name}”.").format(name=lesson.model))
    for step in lesson.steps:
        look, goals = step.look, step.task.reach if step.task is not None else ()
        for view in [look.open, *(one.value for one in goals if one.name == "opened" and one.how == "is")]:
            if view and view not in views:
                yield Problem(lesson.id, LANGUAGE, step.id, _("No view “{name}” is installed.").format(name=view))
        if look.model and find(look.model) is None:
            yield Problem(lesson.id, LANGUAGE, step.id, _("There is no model “{name}”.").format(name=look.model))
        for name, number in look.settings:
            if isinstance(number, float) and within(name, number) != number:
                said = _("{name} cannot be {value}.").format(name=name, value=number)
                yield Problem(lesson.id, LANGUAGE, step.id, said)
        for one in goals:
            if not _in_range(one):
                said = _("{name} never gets there: {goal}.").format(name=one.name, goal=f"{one.how} {one.value}")
                yield Problem(lesson.id, LANGUAGE, step.id, said)


def _in_range(goal: Goal) -> bool:
    if goal.name not in RANGES or goal.how == "changed":
        return True
    _kind, least, most = RANGES[goal.name]
    value = float(goal.value)
    return least <= value <= most if goal.how == "is" else value < most if goal.how == "above" else value > least


def _translation_problems(lesson: Lesson, twin: Lesson) -> Iterable[Problem]:
    """Differences between a translation and the English file: other values or conditions in a step."""
    for own, other in zip(lesson.steps, twin.steps, strict=True):
        if sorted(map(repr, own.values())) != sorted(map(repr, other.values())):
            lost = set(map(repr, own.values())) ^ set(map(repr, other.values()))
            said = _("Its values are not those of the English text ({n} differ).").format(n=len(lost) or 1)
            yield Problem(twin.id, twin.language, own.id, said)
        if [block.only for block in own.blocks if block.only] != [block.only for block in other.blocks if block.only]:
            yield Problem(twin.id, twin.language, own.id, _("Its conditions are not those of the English text."))


# -- on one run --------------------------------------------------------------------------------------------------------------------


def _run_problems(lesson: Lesson, here: Situation) -> Iterable[Problem]:
    """Places and sentences that this run does not have, although the step's conditions hold."""
    on = here.trace.model.name if here.trace.model is not None else ""
    for step in lesson.steps:
        if not holds(step.only, here):
            continue
        try:
            for _name, place in step.look.places:
                evaluate(place, here)
            for block in step.blocks:
                if holds(block.only, here):
                    sentence(block.runs, here)
            sentence(step.title, here)
        except TxpanelError as error:
            said = _("With {model}: {problem} Say with “only” what it needs.")
            yield Problem(lesson.id, lesson.language, step.id, said.format(model=on, problem=error))


class _Questions:
    """Counts on how many texts of each model the question of a step could be decided."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.tried: dict[tuple[str, str], int] = {}
        self.decided: dict[tuple[str, str], int] = {}
        self.why: dict[tuple[str, str], str] = {}
        self.runs = 0

    def on(self, model: LanguageModel, here: Situation) -> None:
        """Tries each question on one more run."""
        self.runs += 1
        for step in self.lesson.steps:
            if step.task is None or not holds(step.only, here):
                continue
            at = (step.id, model.name)
            self.tried[at] = self.tried.get(at, 0) + 1
            try:
                self._try(step, placed(step.look, here))
            except TxpanelError as error:
                self.why[at] = str(error)
            else:
                self.decided[at] = self.decided.get(at, 0) + 1

    def _try(self, step: Step, here: Situation) -> None:
        task = step.task
        assert task is not None
        said: list[Runs] = [task.ask, *task.hints, *(block.runs for block in task.after)]
        said += [one.says for one in task.wrong] + [runs for one in task.options for runs in (one.text, one.says)]
        for runs in said:
            sentence(runs, here)
        if task.kind == "do":
            self._reachable(step, here)
            return
        right = right_answer(task, here)
        answer = right.option if task.kind == "choice" else [one.raw for one in right.found]
        if not judge(task, answer, here).right:
            raise Unsupported(_("The right answer is not taken for right."))
        if task.kind in ("token", "cell") and len(here.ids) > MOST_TOKENS:
            raise Unsupported(_("This text has too many tokens to choose one."))

    def _reachable(self, step: Step, here: Situation) -> None:
        """Refuse a task whose goal cannot be reached here, or is reached before anything was done."""
        from txpanel.lessons.goals import facts  # late: only here

        assert step.task is not None
        begun = facts(here) | {name: value for name, value in step.look.settings if isinstance(value, float)}
        for goal in step.task.reach:
            ends = {
                "layer": here.anatomy.n_layers,
                "head": here.block.n_heads,
                "query": len(here.ids),
                "key": len(here.ids),
            }
            if goal.how == "changed" and ends.get(goal.name, 2) < 2:
                raise Unsupported(_("There is only one {name} here.").format(name=goal.name))
        if step.look.settings and reached(step.task.reach, begun, begun):
            raise Unsupported(_("What is to be reached is there from the start."))

    def problems(self) -> Iterable[Problem]:
        """One for each question and model where it could be decided on too few texts."""
        for (step, model), times in self.tried.items():
            done = self.decided.get((step, model), 0)
            if done < min(ENOUGH, times):
                said = _("With {model} it could be asked on {n} of {tried} texts: {why}")
                why = self.why.get((step, model), "")
                yield Problem(self.lesson.id, LANGUAGE, step, said.format(model=model, n=done, tried=times, why=why))
        tried = {name for name, _model in self.tried}
        for each in self.lesson.steps if self.runs else ():
            if each.task is not None and each.id not in tried:
                said = _("No model that it was tried on has what it needs. Name one with --model.")
                yield Problem(self.lesson.id, LANGUAGE, each.id, said)
