"""What a lesson is once it has been read: plain values, no text that still has to be parsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from txpanel.lessons.expressions import Call, Expression

__all__ = ["PLACES", "Block", "Goal", "Lesson", "Look", "Option", "Run", "Step", "Task", "Wrong"]

PLACES = ("layer", "head", "query", "key", "neuron")
"""What is selected in the model and the text, by the names of `ModelState`."""

Run = tuple[str, str | Expression]
"""A piece of a sentence: its kind ("" plain, b, i, code, value) and its text, or of a value its expression."""
Runs = tuple[Run, ...]
Kind = Literal["choice", "number", "token", "cell", "do"]


@dataclass(frozen=True)
class Block:
    """A paragraph.

    Attributes:
        runs: what it says. only: conditions that must hold for it to be shown (`txpanel.lessons.conditions`).
    """

    runs: Runs
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """The state that a step sets, and the parts of the page that it highlights.

    Attributes:
        lit: parts of the page; the rest is dimmed. hidden: parts that are covered until the task is done; without one, while the step is shown.
        play: a part to which ▶ Play runs. open: id of a view that is unfolded.
        model: name of a model that the step wants. text: a text that it wants.
        places: what to focus on (layer, head, query, key, neuron), as expressions. settings: of sampling, as expressions.
    """

    lit: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    play: str = ""
    open: str = ""
    model: str = ""
    text: str = ""
    places: tuple[tuple[str, Expression], ...] = ()
    settings: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Option:
    """One option of a choice.

    Attributes:
        id: in the file. value: right if it equals the answer. text: what it says.
        says: the feedback if it is chosen and wrong. confusion: the id of the confusion behind it, or empty.
    """

    id: str
    value: Expression
    text: Runs
    says: Runs = ()
    confusion: str = ""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that is foreseen: for a number one value, for a token one, for a cell query and key. No value: any other answer."""

    id: str
    value: tuple[Expression, ...]
    says: Runs
    confusion: str = ""


@dataclass(frozen=True)
class Goal:
    """A state to be reached: a name of the state, how it is compared (above, below, is, changed), and with what."""

    name: str
    how: Literal["above", "below", "is", "changed"]
    value: str = ""


@dataclass(frozen=True)
class Task:
    """What a person is asked to predict or to do.

    Attributes:
        ask: the question. answer: one expression; for a cell two, query and key; none where something is to be done.
        within: how far a number may be off. relative: whether that is a share of the answer.
        options: of a choice. by_value: whether they are shown in the order of their values, and not as in the file.
        wrong: foreseen wrong answers of the other kinds. reach: the goals, all of which count.
        hints: up to three. after: what is observed once it is answered or done.
    """

    kind: Kind
    ask: Runs
    answer: tuple[Expression, ...] = ()
    within: float = 0.0
    relative: bool = False
    options: tuple[Option, ...] = ()
    by_value: bool = False
    wrong: tuple[Wrong, ...] = ()
    reach: tuple[Goal, ...] = ()
    hints: tuple[Runs, ...] = ()
    after: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step: a title, a few sentences, what to look at, and perhaps a task.

    Attributes:
        id: unique in its lesson, the same in every language. line: where it begins in the file. only: conditions without which it is left out.
    """

    id: str
    title: Runs
    blocks: tuple[Block, ...]
    look: Look = field(default_factory=Look)
    task: Task | None = None
    only: tuple[str, ...] = ()
    line: int = 0

    def runs(self) -> Iterator[tuple[str, Runs]]:
        """All that it says, with where it stands."""
        yield "title", self.title
        for block in self.blocks:
            yield "text", block.runs
        if self.task is None:
            return
        yield "ask", self.task.ask
        for option in self.task.options:
            yield f"option {option.id}", option.text
            yield f"option {option.id}", option.says
        for wrong in self.task.wrong:
            yield f"wrong {wrong.id}", wrong.says
        for hint in self.task.hints:
            yield "hint", hint
        for block in self.task.after:
            yield "after", block.runs

    def values(self) -> Iterator[tuple[str, Expression]]:
        """All values that its sentences show, with where."""
        for where, runs in self.runs():
            for kind, what in runs:
                if kind == "value" and not isinstance(what, str):
                    yield where, what


@dataclass(frozen=True)
class Lesson:
    """A lesson in one language.

    Attributes:
        id: name of its folder. language: of the file. order: where it stands among the others. minutes: how long it takes.
        needs: conditions that the model must meet. model, text: what it begins with; empty: what is there.
    """

    id: str
    language: str
    title: str
    steps: tuple[Step, ...]
    intro: tuple[Block, ...] = ()
    order: float = 100.0
    minutes: int = 0
    needs: tuple[str, ...] = ()
    model: str = ""
    text: str = ""

    def step(self, name: str) -> Step | None:
        """The step of that id; None where there is none."""
        return next((step for step in self.steps if step.id == name), None)


def calls(expression: Expression) -> Iterator[Call]:
    """All names that an expression asks for, from the outside in."""
    if isinstance(expression, Call):
        yield expression
        for argument in expression.arguments:
            yield from calls(argument)
