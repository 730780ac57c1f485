"""A step as plain data for the page: sentences with their values, what is lit, the question with its options. Never HTML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from txpanel.errors import Unsupported
from txpanel.lessons.conditions import holds
from txpanel.lessons.expressions import Expression
from txpanel.lessons.lesson import Block, Lesson, Runs, Step, Task
from txpanel.lessons.situation import Situation
from txpanel.lessons.tasks import as_shares, ordered, right_answer
from txpanel.lessons.values import evaluate, is_slow, shown
from txpanel.models.tokens import visible

__all__ = [
    "captions",
    "decidable",
    "heading",
    "paragraphs",
    "plain_text",
    "said",
    "sentence",
    "slow_values",
    "steps_here",
    "task_shown",
]

Pairs = list[tuple[str, str]]
MOST_TOKENS = 400
"""A text with more of them is not offered token by token."""


def slow_values(step: Step, here: Situation, *, settled: bool = False) -> list[Expression]:
    """The values of a step that have to be computed in the background before it can be shown.

    Args:
        settled: the page already has the step's selection, so that the expressions of its places need not be computed.
    """
    places = () if settled else (place for _name, place in step.look.places)
    values = (value for _where, value in step.values())
    return [one for one in (*places, *values, *_asked(step)) if is_slow(one, here)]


def _asked(step: Step) -> Iterable[Expression]:
    if step.task is not None:
        yield from step.task.answer
        yield from (option.value for option in step.task.options)
        for wrong in step.task.wrong:
            yield from wrong.value


def steps_here(lesson: Lesson, here: Situation | None) -> list[Step]:
    """The steps that this model and text have; all of them while there is no run."""
    return [step for step in lesson.steps if here is None or holds(step.only, here)]


def sentence(runs: Runs, here: Situation | None) -> Pairs:
    """Pairs (kind, text), as `txpanel.toolkit.text.Paragraph`; a value has the kind ``live``, a token ``token``.

    Raises:
        Unsupported: a value does not exist here.
    """
    found: Pairs = []
    for kind, what in runs:
        if kind != "value":
            found.append((kind, str(what)))
        elif here is None:
            found.append(("live", "…"))
        else:
            value = evaluate(what, here)
            found.append(("token" if value.kind == "token" else "live", shown(value, here)))
    return found


def said(runs: Runs, here: Situation) -> Pairs:
    """A sentence; empty where one of its values does not exist here."""
    try:
        return sentence(runs, here)
    except Unsupported:
        return []


def heading(step: Step, here: Situation | None) -> Pairs:
    """The title of a step; with a value that does not exist here, as it is without a run."""
    return (said(step.title, here) if here is not None else []) or sentence(step.title, None)


def paragraphs(blocks: Iterable[Block], here: Situation | None) -> list[Pairs]:
    """The paragraphs whose conditions hold; one with a value that does not exist here is left out."""
    found = []
    for block in blocks:
        if here is not None and not holds(block.only, here):
            continue
        if here is None and block.only:
            continue
        try:
            found.append(sentence(block.runs, here))
        except Unsupported:
            continue
    return found


def captions(lesson: Lesson, here: Situation) -> dict[str, Pairs]:
    """What a lesson says first of each part that it plays, by the part's name."""
    found: dict[str, Pairs] = {}
    for step in steps_here(lesson, here):
        said = paragraphs(step.blocks, here) if step.look.play else []
        if said:
            found.setdefault(step.look.play, said[0])
    return found


def plain_text(pairs: Pairs) -> str:
    """The words of a sentence alone."""
    return "".join(text for _kind, text in pairs)


def decidable(task: Task | None, here: Situation | None) -> bool:
    """Whether a task can be put here: its question has exactly one right answer, and all its sentences exist."""
    if task is None or here is None:
        return False
    try:
        sentence(task.ask, here)
        for option in task.options:
            sentence(option.text, here)
        if task.kind != "do":
            right_answer(task, here)
    except Unsupported:
        return False
    return task.kind not in ("token", "cell") or len(here.ids) <= MOST_TOKENS


def task_shown(task: Task, here: Situation) -> dict[str, Any]:
    """What the page needs to ask: kind, ask, options (id, text), tokens, percent, hints (how many)."""
    found: dict[str, Any] = {
        "kind": task.kind,
        "ask": sentence(task.ask, here),
        "options": [[option.id, sentence(option.text, here)] for option in ordered(task, here)],
        "hints": len(task.hints),
    }
    if task.kind in ("token", "cell"):
        found["tokens"] = [visible(text) for text in here.trace.tokens.strings]
    if task.kind == "number":
        found["percent"] = as_shares(task, here)
    return found
