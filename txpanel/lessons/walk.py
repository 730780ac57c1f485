"""Going through a lesson by code: in a notebook, a script or a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txpanel.errors import BadLesson, Unsupported
from txpanel.lessons.answers import right_shown
from txpanel.lessons.by_code import counted, doing
from txpanel.lessons.conditions import holds, missing
from txpanel.lessons.confusions import confusion
from txpanel.lessons.discovery import Found, find_lessons, in_language, lessons_in
from txpanel.lessons.goals import facts, moved, reached
from txpanel.lessons.lesson import Lesson, Step, Task
from txpanel.lessons.placing import is_here, move, placed
from txpanel.lessons.rendering import Pairs, decidable, paragraphs, said, task_shown
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import as_shares, judge, ordered
from txpanel.lessons.telling import Told, told
from txpanel.messages import _, language, speaking

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["Walk", "lesson_of"]


class Walk:
    """Goes through the steps of a lesson on the run of a state: moves it to each step's place, says the step's sentences, judges answers.

    What it returns shows itself in a notebook; ``str`` of it is plain text.

    Args:
        lesson: the id of an installed lesson, a folder, or a `Lesson`. state: with a model and a text.
        language: such as ``"ja"``; None: the language in use.

    Raises:
        BadLesson: there is no such lesson, or it cannot be read. Unsupported: the lesson needs another model, or the state has no run, in words.

    Example:
        >>> walk = Walk("attention", txpanel.ModelState(model=txpanel.load("nano"), text="CBABBC="))
        >>> walk.step("softmax")
        >>> walk.check("softmax", 100)
    """

    def __init__(self, lesson: Lesson | str | Path, state: ModelState, *, language: str | None = None) -> None:
        self.lesson = lesson if isinstance(lesson, Lesson) else lesson_of(lesson, language)
        self.state = state
        self._asked: dict[str, Situation] = {}  # the situation when a step was shown
        self._hints: dict[str, int] = {}
        here = self._now()
        with speaking(self.lesson.language):
            if self.lesson.needs and not holds(self.lesson.needs, here):
                parts = ", ".join(missing(self.lesson.needs, here))
                raise Unsupported(_("This lesson needs a model with: {parts}.").format(parts=parts))

    def __repr__(self) -> str:
        return f"<Walk through {self.lesson.id}: {', '.join(self.steps())}>"

    def steps(self) -> list[str]:
        """The ids of the steps that the model and the text have, in their order."""
        here = self._now()
        return [step.id for step in self.lesson.steps if is_here(step, self.lesson, here)]

    def step(self, id: str) -> Told:
        """A step: the state is moved to its place and gets its settings; its sentences and its question, with the values of the run.

        Raises:
            BadLesson: the lesson has no such step.
        """
        step, here = self._step(id), self._now()
        with speaking(self.lesson.language):
            if not is_here(step, self.lesson, here):
                return told([("", _("This model or text does not have what this step is about."))])
            move(self.state, step.look, here)
            self._hints[id] = 0
            here = self._asked[id] = self._now()
            blocks = paragraphs(step.blocks, here)
            if step.task is not None and decidable(step.task, here):
                blocks += _question(step.task, here)
            return told(*blocks)

    def check(self, id: str, answer: Any = None) -> Told:
        """Whether an answer is right, with what is said to it; of a step where something is to be done, whether it is done.

        Args:
            answer: of a choice the number of an option from 1, or its id; a number, a share in percent; the position of a token, from 1; of a cell
                ``[query, key]``, from 1.

        Raises:
            BadLesson: the lesson has no such step.
        """
        step = self._step(id)
        with speaking(self.lesson.language):
            here = self._here(step)
            task = step.task
            if task is None or not is_here(step, self.lesson, here) or not decidable(task, here):
                return told([("", _("Nothing is asked here on this run."))])
            if task.kind == "do":
                return self._done(task, here)
            if answer is None:
                return told([("", _("Your answer is missing."))], *_form(task, here))
            try:
                verdict = judge(task, _given(answer, task, here), here)
            except BadLesson as error:
                return told([("", str(error))], *_form(task, here))
            if verdict.right:
                return told([("b", _("Right."))], *paragraphs(task.after, here))
            behind = confusion(verdict.confusion)
            more: list[Pairs] = (
                [[("i", _("A common confusion: {confusion}").format(confusion=behind))]] if behind else []
            )
            return told([("b", _("Not quite."))], said(verdict.says, here), *more)

    def hint(self, id: str) -> Told:
        """The next hint, and those before it.

        Raises:
            BadLesson: the lesson has no such step.
        """
        step = self._step(id)
        with speaking(self.lesson.language):
            here = self._here(step)
            if step.task is not None and step.task.kind == "do":  # its hints say where on the page something is
                return told(*_by_code(step.task))
            hints = [one for hint in (step.task.hints if step.task is not None else ()) if (one := said(hint, here))]
            self._hints[id] = min(self._hints.get(id, 0) + 1, len(hints))
            return told(*hints[: self._hints[id]]) if hints else told([("", _("There is no hint."))])

    def answer(self, id: str) -> Told:
        """The right answer, and what is observed then.

        Raises:
            BadLesson: the lesson has no such step.
        """
        step = self._step(id)
        with speaking(self.lesson.language):
            here, task = self._here(step), step.task
            if task is None or task.kind == "do" or not is_here(step, self.lesson, here) or not decidable(task, here):
                return told([("", _("Nothing is asked here on this run."))])
            before, _name, behind = _("The answer is {answer}.").partition("{answer}")
            return told([("", before), *right_shown(task, here), ("", behind)], *paragraphs(task.after, here))

    def _done(self, task: Task, begun: Situation) -> Told:
        now = self._now()
        if not doing(task):
            return told(*_by_code(task))
        if moved(task.reach, facts(now), facts(begun)) and reached(task.reach, facts(now), facts(begun)):
            return told([("b", _("Well done."))], *paragraphs(task.after, now))
        return told([("", _("Not yet."))], [("b", _("Try it:")), ("", " "), *said(task.ask, begun)], *_by_code(task))

    def _step(self, id: str) -> Step:
        step = self.lesson.step(id)
        if step is None:
            known = ", ".join(one.id for one in self.lesson.steps)
            raise BadLesson(_("There is no step “{id}”; there are: {all}.").format(id=str(id)[:40], all=known))
        return step

    def _now(self) -> Situation:
        here = situation_of(self.state)
        if here is None:
            raise Unsupported(self.state.error or _("There is no run yet: the state needs a model and a text."))
        return here

    def _here(self, step: Step) -> Situation:
        """The situation in which a question was asked; if it was not asked, or the run has changed, the present one at the step's place."""
        asked = self._asked.get(step.id)
        if asked is not None and (
            asked.trace is self.state.trace or (step.task is not None and step.task.kind == "do")
        ):
            return asked
        return placed(step.look, self._now())


def lesson_of(name: str | Path, code: str | None = None) -> Lesson:
    """The lesson of an id or a folder.

    Args:
        name: the id of an installed one, or a folder. code: a language; None: the one in use.

    Raises:
        BadLesson: there is none, or it cannot be read; the sentence names those that there are.
    """
    installed: dict[str, Found] = {}
    for one in find_lessons():  # the first of an id is the one that is used
        installed.setdefault(one.id, one)
    found = installed.get(str(name))
    if found is None:
        folder = Path(name)
        beside = lessons_in(folder) if folder.is_dir() else []
        if len(beside) != 1:
            said_ = _("There is no lesson “{name}”. Give a folder with an en.md, or one of: {all}.")
            raise BadLesson(said_.format(name=str(name)[:80], all=", ".join(installed)))
        found = beside[0]
    return in_language(found, code or language())


def _question(task: Task, here: Situation) -> list[Pairs]:
    lead = _("Try it:") if task.kind == "do" else _("Predict:")
    return [[("b", lead), ("", " "), *task_shown(task, here)["ask"]], *_form(task, here)]


def _form(task: Task, here: Situation) -> list[Pairs]:
    """How an answer is written."""
    shown: Mapping[str, Any] = task_shown(task, here)
    if task.kind == "choice":
        return [[("code", str(n)), ("", ": "), *text] for n, (_id, text) in enumerate(shown["options"], 1)]
    if task.kind == "do":  # by which code is a hint
        return [] if doing(task) else _by_code(task)
    if task.kind == "number":
        return [[("", _("A number, in percent.") if as_shares(task, here) else _("A number."))]]
    if task.kind in ("token", "cell"):
        listed: Pairs = []
        for n, name in enumerate(shown["tokens"], 1):
            listed += [("", f"{n} "), ("token", name), ("", "  ")]
        return [
            [
                (
                    "",
                    _("[query, key]: the token that attends, and the token that it attends to; positions from 1")
                    if task.kind == "cell"
                    else _("the position of a token, from 1"),
                )
            ],
            listed,
        ]
    return []


def _by_code(task: Task) -> list[Pairs]:
    """What to do in place of a click."""
    lines = doing(task)
    if not lines:
        return [[("", _("This is done on the page of txpanel."))]]
    lead: Pairs = [("", _("In code:")), ("", " ")]
    for n, line in enumerate(lines):
        lead += [("", ", "), ("code", line)] if n else [("code", line)]
    return [lead, [("", _("Code counts blocks, heads and tokens from 0."))]] if counted(task) else [lead]


def _given(answer: Any, task: Task, here: Situation) -> Any:
    """An answer as `judge` takes it: positions from 0, shares from 0 to 1.

    Raises:
        BadLesson: it is not one.
    """
    if task.kind == "number":
        return _number(answer) / (100 if as_shares(task, here) else 1)
    if task.kind == "token":
        return _number(answer) - 1
    if task.kind == "choice" and not isinstance(answer, str | bool):
        options, n = ordered(task, here), _number(answer)
        return options[int(n) - 1].id if n.is_integer() and 1 <= n <= len(options) else answer
    if task.kind == "cell":
        several = isinstance(answer, Sequence) and not isinstance(answer, str)
        return [_number(one) - 1 for one in answer] if several else answer
    return answer


def _number(answer: Any) -> float:
    """A number of Python or NumPy."""
    try:
        if isinstance(answer, str | bool | bytes):
            raise TypeError
        return float(answer)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadLesson(_("A number is expected here.")) from error
