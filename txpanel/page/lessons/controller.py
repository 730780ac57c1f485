"""Where a learner is: which lesson and step, what was answered; what of the page a step sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from txpanel.decoding.ranges import RANGES
from txpanel.errors import BadLesson, TxpanelError
from txpanel.lessons.discovery import Found, find_lessons, in_language
from txpanel.lessons.goals import facts, moved, reached
from txpanel.lessons.lesson import Lesson, Step, Task
from txpanel.lessons.rendering import captions, decidable, steps_here
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import judge
from txpanel.messages import _, language
from txpanel.page.lessons.component import LessonBox
from txpanel.page.lessons.looking import Measuring, look_at
from txpanel.page.lessons.paper import Paper
from txpanel.page.lessons.shown import Answered, shown
from txpanel.page.lessons.taking import TAKEN, take
from txpanel.page.lessons.teaching import Teaching
from txpanel.page.lessons.words import lesson_words
from txpanel.toolkit.incoming import heard

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["LessonController"]

FOLLOWS = ("trace", "sampled", "tree", "layer", "head", "query", "key", "neuron", "question", *RANGES)
AT_FIRST = ("open", "join", "lead")
"""What a browser may ask for as soon as it has the box, and before it has said that it has the page."""
EARLY = SPEAKING = ("open", *Teaching.KINDS)
TOUR = "tour"
KINDS = (
    "open",
    "go",
    "answer",
    "hint",
    "reveal",
    "close",
    "played",
    "again",
    "captions",
    "file",
)
FARTHEST = 1_000_000


class LessonController:
    """Fills a `LessonBox` from the lessons that are installed and from a state, and does what a step asks for.

    Args:
        open_view: unfolds a view by its id. opened: says which one is.
        fixed: whether the model cannot be changed here.
        later: calls a function when the browser has the page; at once by default. Panel drops what changes before.

    Attributes:
        on_moved: called when `in_address` says something else. teaching: the class, if this page leads or follows one.
    """

    def __init__(
        self,
        open_view: Callable[[str], None],
        opened: Callable[[], str],
        *,
        fixed: bool = False,
        later: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._later = later or (lambda step: step())
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
        self._measuring = Measuring(self._draw)
        self._early: dict[str, dict[str, Any]] = {}  # what was asked for before there was a state, by its kind
        self.on_moved: Callable[[], object] = lambda: None
        self._at: dict[str, str] = {}
        self.component = LessonBox(self._on_message, words=lesson_words(), margin=0, width=0, height=0)
        self._paper = Paper(self.component, self._say)
        self.teaching = Teaching(self.component, self._told, self._later, fixed=fixed)

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state = state
        self._measuring.begin()
        self._paper.begin()
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
        early, self._early = self._early, {}
        for data in early.values():
            self._on_message(data)

    def begin(self, lesson: str = "", step: str = "", code: str = "") -> None:
        """What the address names: a lesson at a step, a class."""
        if lesson:
            self._on_message({"kind": "open", "lesson": lesson, "step": step})
        if code:
            self.teaching.want(code)

    def in_address(self) -> dict[str, str]:
        """What the address says: the lesson with its step, and the class; empty where there is none."""
        lesson = self._lesson.id if self._lesson is not None else ""
        return {"lesson": lesson, "step": self._step if lesson else "", "class": self.teaching.code}

    def close(self) -> None:
        """Lets go of the state."""
        self.teaching.part.leave()
        if self._state is not None:
            self._state.param.unwatch(self._watcher)
        self._measuring.end()
        self._paper.end()
        self._state = self._lesson = None
        self.component.close()

    def view_opened(self) -> None:
        """Another view was unfolded."""
        self._changed()

    # -- what the browser asks for -----------------------------------------------------------------------------------------

    @heard
    def _on_message(self, data: dict[str, Any]) -> None:
        kind = data.get("kind")
        if self._state is None:
            if kind in EARLY:
                self._early[str(kind)] = data
            elif kind == "close":
                self._early.pop("open", None)
            return
        if kind in AT_FIRST:
            self._later(partial(self._hear, str(kind), data))
        else:
            self._hear(str(kind), data)

    def _hear(self, kind: str, data: dict[str, Any]) -> None:
        if self._state is None:
            return
        try:
            if kind in Teaching.KINDS:
                self.teaching.hear(kind, data)
            elif kind in TAKEN:
                room = self.teaching.part.room
                at = room.place if room is not None else None
                take(kind, self._state, self._lesson, self._now(), at, fixed=self._fixed)
            elif kind in KINDS:
                getattr(self, f"_on_{kind}")(data)
        except BadLesson as error:
            if kind not in SPEAKING:
                return  # an answer to another step, or one that nobody can give here
            self._say(str(error))
        except TxpanelError as error:
            self._state.param.update(error=str(error))
        self._follow()
        self._draw()

    def _on_open(self, data: dict[str, Any]) -> None:
        name = str(data.get("lesson", ""))
        found = self._lessons().get(name)
        if found is None and name not in ("", TOUR):
            raise BadLesson(_("There is no lesson “{name}” here.").format(name=name[:60]))
        found = found or next(iter(self._lessons().values()), None)
        self._lesson = self._read(found) if found is not None else None
        self._played = 0
        self._enter(str(data.get("step", "")))

    def _on_go(self, data: dict[str, Any]) -> None:
        self._enter(str(data.get("step", "")))

    def _on_close(self, data: dict[str, Any]) -> None:
        self._measuring.stop()
        self._lesson = None

    def _on_answer(self, data: dict[str, Any]) -> None:
        step, here = self._now(), self._here()
        if step is None or here is None or step.task is None or not self._about(data):
            return
        if step.task.kind == "do" or self._answered.done:
            return
        self._judge(step.task, data.get("answer"), here)

    def _judge(self, task: Task, answer: Any, here: Situation) -> None:
        again = answer == self._answered.given and self._answered.verdict is not None  # such as a double click
        self._answered.verdict = judge(task, answer, here)
        self._answered.given, self._answered.run = answer, here.trace.uid
        if self._held():  # what is answered once the answer is shown does not count
            self.teaching.answered(task, answer)
        else:
            self._answered.done = self._answered.verdict.right
            self._answered.tries += not self._answered.done and not again

    def _about(self, data: dict[str, Any]) -> bool:
        """Whether a message is about the step that is shown: its class may have gone on while it was under way."""
        return self._lesson is not None and data.get("at", here := f"{self._lesson.id}/{self._step}") == here

    def _on_hint(self, data: dict[str, Any]) -> None:
        self._answered.hints += self._about(data)

    def _on_reveal(self, data: dict[str, Any]) -> None:
        self._answered.revealed = not self._held() and (self._answered.revealed or self._about(data))

    def _on_played(self, data: dict[str, Any]) -> None:
        self._played = min(self._played + 1, FARTHEST)

    def _on_file(self, data: dict[str, Any]) -> None:
        here = self._here()
        if self._lesson is not None and here is not None:
            self._paper.make(str(data.get("what", "")), self._lesson, here)

    def _on_captions(self, data: dict[str, Any]) -> None:
        tour = self._lessons().get(TOUR)
        lesson, here = self._read(tour) if tour is not None else None, self._here()
        if lesson is not None and here is not None:
            self.component.captions = captions(lesson, here)

    def _on_again(self, data: dict[str, Any]) -> None:
        step, here = self._now(), self._here()
        if step is None or here is None:
            return
        if self._measuring.needed(step, here):  # another text has come since the step began
            self._to_look = True
        else:
            look_at(self._state, step, here, self._open_view)

    # -- steps ---------------------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> None:
        """Goes to a step of the lesson; to its first one where it has none of that name."""
        self._measuring.stop()  # what the step before needed
        if self._lesson is None:
            return
        here = self._here()
        steps = steps_here(self._lesson, here) or list(self._lesson.steps)
        step = next((one for one in steps if one.id == name), steps[0])
        self._step, self._answered = step.id, Answered()
        self._to_look = True
        if here is not None and not self._measuring.needed(step, here):
            self._settle(step, here)

    def _settle(self, step: Step, here: Situation) -> None:
        """The step begins: what it asks for is set, and what comes then is the person's doing."""
        self._to_look = False
        look_at(self._state, step, here, self._open_view)
        begun = self._here()
        if begun is not None:
            self._answered.begun, self._answered.cell = facts(begun), dict(begun.cell)

    # -- in a class ----------------------------------------------------------------------------------------------------------

    def _told(self) -> None:
        """Something of the class has changed, by another page."""
        if self._state is None:
            return
        if self.teaching.part.over():
            self._say(_("The class is over."))
        if self.teaching.part.overtaken():
            self._say(_("Another page leads the class now. To lead it from here, reload this page."))
        self._follow()
        self._draw()

    def _follow(self) -> None:
        """Goes where the class has gone, if this page follows one; shows what is right as soon as that is shown."""
        place = self.teaching.part.moved()
        if place is not None and place.lesson:
            self._on_open({"lesson": place.lesson, "step": place.step})
        verdict = self._answered.verdict
        if self._in_class() and not self._held() and not self._answered.revealed:
            self._answered.revealed = True
            self._answered.done = verdict is not None and verdict.right

    def _in_class(self) -> bool:
        """Whether this page follows a class, and stands where the class is."""
        lesson = self._lesson.id if self._lesson is not None else ""
        return self.teaching.part.follows and self.teaching.here(lesson, self._step)

    def _held(self) -> bool:
        """Whether what is right has to wait until the one who leads shows it."""
        return self._in_class() and not self.teaching.shows()

    def _say(self, sentence: str) -> None:
        if self._state is not None:
            self._state.param.update(notice=sentence)

    def _now(self) -> Step | None:
        return self._lesson.step(self._step) if self._lesson is not None else None

    def _here(self) -> Situation | None:
        if self._state is None:
            return None
        return situation_of(self._state, opened=self._opened(), played=self._played, on_page=True)

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
            self.component.classed = self.teaching.facts("", "", None, None, shown=False)
            self._move()
            return
        here = self._here()
        steps = steps_here(self._lesson, here) or list(self._lesson.steps)
        step = self._now()
        if step not in steps:  # another model or text does not have it: the nearest before it
            order = [one.id for one in self._lesson.steps]
            before = [one for one in steps if step is None or order.index(one.id) <= order.index(step.id)]
            step = (before or steps)[-1 if before else 0]
            self._measuring.stop()
            self._step, self._answered = step.id, Answered(begun=facts(here) if here is not None else {})
        assert step is not None
        if here is not None and self._measuring.needed(step, here, settled=not self._to_look):
            here = None
        elif here is not None and self._to_look:
            self._settle(step, here)
            here = self._here()
        if here is not None:
            self._answered.on(here.trace.uid)
            self._look_at_goal(step, here)
        self._draw_step(self._lesson, steps, step, here)

    def _draw_step(self, lesson: Lesson, steps: list[Step], step: Step, here: Situation | None) -> None:
        what = shown(lesson, steps, step, here, self._answered, fixed=self._fixed, held=self._held())
        task = step.task if what["task"] is not None else None
        told = task is not None and task.kind != "do" and (self._answered.done or self._answered.revealed)
        self.teaching.show(lesson.id, step.id, here, shown=told)
        self.component.param.update(shown=what, classed=self.teaching.facts(lesson.id, step.id, task, here, shown=told))
        self._move()

    def _move(self) -> None:
        at = self.in_address()
        if at != self._at:
            self._at = at
            self.on_moved()

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
            if self._answered.done and self._in_class():
                self.teaching.done()

    def _lessons(self) -> dict[str, Found]:
        if self._found is None:
            self._found = {one.id: one for one in find_lessons() if one.lesson is not None}
        return self._found

    def _read(self, found: Found) -> Lesson | None:
        try:
            return in_language(found, language())
        except BadLesson:
            return None
