"""Where a learner is: which lesson and step, what was answered; what of the page a step sets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from txpanel.decoding.ranges import RANGES, within
from txpanel.errors import BadLesson, TxpanelError
from txpanel.lessons.discovery import Found, find_lessons, in_language
from txpanel.lessons.goals import facts, moved, reached
from txpanel.lessons.lesson import Lesson, Step, Task
from txpanel.lessons.rendering import decidable, needs_measuring, steps_here
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import judge
from txpanel.lessons.values import evaluate
from txpanel.messages import language
from txpanel.page.lessons.component import LessonBox
from txpanel.page.lessons.shown import Answered, shown
from txpanel.page.lessons.words import lesson_words
from txpanel.toolkit.incoming import heard
from txpanel.views.background import background

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["LessonController"]

FOLLOWS = ("trace", "sampled", "tree", "layer", "head", "query", "key", "neuron", "question", *RANGES)
KINDS = ("open", "go", "answer", "hint", "reveal", "close", "played", "load", "text", "again")
FARTHEST = 1_000_000


class LessonController:
    """Fills a `LessonBox` from the lessons that are installed and from a state, and does what a step asks for.

    Args:
        open_view: unfolds a view by its id. opened: says which one is.
        fixed: whether the model cannot be changed here.
    """

    def __init__(self, open_view: Callable[[str], None], opened: Callable[[], str], *, fixed: bool = False) -> None:
        self._open_view, self._opened, self._fixed = open_view, opened, fixed
        self._state: ModelState | None = None
        self._watcher: Any = None
        self._found: dict[str, Found] | None = None
        self._lesson: Lesson | None = None
        self._step = ""
        self._played = 0
        self._answered = Answered()
        self._scheduled = False
        self._to_look = False  # the step's places wait for what is measured beside the page
        self._worker: Any = None
        self._measured: Any = None  # the model whose heads were looked for last
        self._early: dict[str, Any] | None = None  # a lesson that was asked for before there was a state
        self.component = LessonBox(self._on_message, words=lesson_words(), margin=0, width=0, height=0)

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state = state
        self._worker = background(waited_for=True)
        self._watcher = state.param.watch(self._changed, list(FOLLOWS))
        self.component.lessons = [
            {
                "id": one.id,
                "title": lesson.title,
                "minutes": lesson.minutes,
                "steps": [step.id for step in lesson.steps],
            }
            for one in self._lessons().values()
            if (lesson := self._read(one)) is not None
        ]
        early, self._early = self._early, None
        if early is not None:
            self._on_message(early)

    def close(self) -> None:
        """Lets go of the state."""
        if self._state is not None:
            self._state.param.unwatch(self._watcher)
        if self._worker is not None:
            self._worker.cancel()
        self._state = self._lesson = self._measured = None
        self.component.close()

    def view_opened(self) -> None:
        """Another view was unfolded."""
        self._changed()

    # -- what the browser asks for -----------------------------------------------------------------------------------------

    @heard
    def _on_message(self, data: dict[str, Any]) -> None:
        kind = data.get("kind")
        if self._state is None or kind not in KINDS:
            self._early = data if kind == "open" else None if kind == "close" else self._early
            return
        try:
            getattr(self, f"_on_{kind}")(data)
        except BadLesson:
            return  # an answer to another step, or one that nobody can give here
        except TxpanelError as error:
            self._state.param.update(error=str(error))
        self._draw()

    def _on_open(self, data: dict[str, Any]) -> None:
        name = str(data.get("lesson", ""))
        found = self._lessons().get(name) or next(iter(self._lessons().values()), None)
        self._lesson = self._read(found) if found is not None else None
        self._played = 0
        self._enter(str(data.get("step", "")))

    def _on_go(self, data: dict[str, Any]) -> None:
        self._enter(str(data.get("step", "")))

    def _on_close(self, data: dict[str, Any]) -> None:
        self._lesson = None

    def _on_answer(self, data: dict[str, Any]) -> None:
        step, here = self._now(), self._here()
        if step is None or here is None or step.task is None or step.task.kind == "do" or self._answered.done:
            return
        self._judge(step.task, data.get("answer"), here)

    def _judge(self, task: Task, answer: Any, here: Situation) -> None:
        self._answered.verdict = judge(task, answer, here)
        self._answered.given = answer
        self._answered.done = self._answered.verdict.right
        self._answered.tries += not self._answered.done

    def _on_hint(self, data: dict[str, Any]) -> None:
        self._answered.hints += 1

    def _on_reveal(self, data: dict[str, Any]) -> None:
        self._answered.revealed = True

    def _on_played(self, data: dict[str, Any]) -> None:
        self._played = min(self._played + 1, FARTHEST)

    def _on_load(self, data: dict[str, Any]) -> None:
        step = self._now()
        name = (step.look.model if step is not None else "") or (self._lesson.model if self._lesson is not None else "")
        if name and self._state is not None and not self._fixed:
            self._state.load(name)

    def _on_text(self, data: dict[str, Any]) -> None:
        step = self._now()
        text = (step.look.text if step is not None else "") or (self._lesson.text if self._lesson is not None else "")
        if text and self._state is not None:
            self._state.allowed().check_characters(text)
            self._state.text = text

    def _on_again(self, data: dict[str, Any]) -> None:
        step, here = self._now(), self._here()
        if step is not None and here is not None:
            self._look(step, here)

    # -- steps ---------------------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> None:
        """Goes to a step of the lesson; to its first one where it has none of that name."""
        if self._lesson is None:
            return
        here = self._here()
        steps = steps_here(self._lesson, here) or list(self._lesson.steps)
        step = next((one for one in steps if one.id == name), steps[0])
        self._step, self._answered = step.id, Answered()
        self._to_look = True
        if here is not None and not self._waits(step, here):
            self._settle(step, here)

    def _settle(self, step: Step, here: Situation) -> None:
        """The step begins: what it asks for is set, and what comes then is the person's doing."""
        self._to_look = False
        self._look(step, here)
        begun = self._here()
        if begun is not None:
            self._answered.begun, self._answered.cell = facts(begun), dict(begun.cell)

    def _waits(self, step: Step, here: Situation) -> bool:
        """Whether the step names heads of the model that have not been found yet; they are looked for beside the page."""
        from txpanel.tracing.head_scores import head_scores, kept_scores  # late: torch; the page is painted before

        model = here.trace.model
        if model is None or not needs_measuring(step) or kept_scores(model) is not None or model is self._measured:
            return False

        def job(_cancel: object, publish: Callable[[Callable[[], object]], None]) -> None:
            with suppress(TxpanelError):  # there are no heads: the step leaves out what it says of them
                head_scores(model)
            self._measured = model
            publish(self._draw)

        self._worker.submit(job)
        return model is not self._measured  # without a server it is done at once

    def _look(self, step: Step, here: Situation) -> None:
        """Sets what the step asks for: places, settings, the view. Model and text are offered, never taken."""
        state = self._state
        assert state is not None
        places: dict[str, int] = {}
        for name, expression in step.look.places:
            try:
                places[name] = int(evaluate(expression, here).raw)
            except (TxpanelError, ValueError):
                continue  # a place that this run does not have
        if places:
            state.focus(**places)
        settings = {name: number for name, value in step.look.settings if (number := within(name, value)) is not None}
        if settings:
            state.param.update(**settings)
        if step.look.open:
            self._open_view(step.look.open)

    def _now(self) -> Step | None:
        return self._lesson.step(self._step) if self._lesson is not None else None

    def _here(self) -> Situation | None:
        if self._state is None:
            return None
        return situation_of(self._state, opened=self._opened(), played=self._played)

    # -- what it shows ---------------------------------------------------------------------------------------------------

    def _changed(self, *_events: Any) -> None:
        """Draws the step anew, once for all that changes in one go; nothing while no lesson is open."""
        if self._lesson is None:
            return
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            self._draw()
        elif not self._scheduled:
            self._scheduled = True
            document.add_next_tick_callback(partial(self._draw_in, document))

    def _draw_in(self, document: Any) -> None:
        self._scheduled = False
        with set_curdoc(document), unlocked():
            self._draw()

    def _draw(self) -> None:
        if self._lesson is None or self._state is None:
            self.component.shown = {}
            return
        here = self._here()
        steps = steps_here(self._lesson, here) or list(self._lesson.steps)
        step = self._now()
        if step not in steps:  # another model or text does not have it: the nearest before it
            order = [one.id for one in self._lesson.steps]
            before = [one for one in steps if step is None or order.index(one.id) <= order.index(step.id)]
            step = (before or steps)[-1 if before else 0]
            self._step, self._answered = step.id, Answered(begun=facts(here) if here is not None else {})
        assert step is not None
        if here is not None and self._to_look:
            if self._waits(step, here):
                here = None
            else:
                self._settle(step, here)
                here = self._here()
        if here is not None:
            self._look_at_goal(step, here)
        self.component.shown = shown(self._lesson, steps, step, here, self._answered, fixed=self._fixed)

    def _look_at_goal(self, step: Step, here: Situation) -> None:
        """Whether what is to be done is done, or a cell of the picture was clicked that answers the question."""
        task = step.task
        if task is None or self._answered.done:
            return
        cell = dict(here.cell)
        if task.kind == "cell" and cell != self._answered.cell:
            self._answered.cell = cell
            if {"query", "key"} <= cell.keys() and decidable(task, here):
                self._judge(task, [cell["query"], cell["key"]], here)
        if task.kind == "do" and decidable(task, here):
            now = facts(here)
            self._answered.begun = self._answered.begun or now
            self._answered.done = moved(task.reach, now, self._answered.begun) and reached(
                task.reach, now, self._answered.begun
            )

    def _lessons(self) -> dict[str, Found]:
        if self._found is None:
            self._found = {one.id: one for one in find_lessons() if one.lesson is not None}
        return self._found

    def _read(self, found: Found) -> Lesson | None:
        try:
            return in_language(found, language())
        except BadLesson:
            return None
