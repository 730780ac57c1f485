"""How code does what a lesson asks a person to do on the page: in a notebook or a script there is nothing to click."""

from __future__ import annotations

from txpanel.decoding.ranges import RANGES
from txpanel.lessons.lesson import PLACES, Goal, Task

__all__ = ["counted", "doing"]

_LINES = {
    "text": 'state.text = "…"',
    "tokens": 'state.text = state.text + " …"',
    "model": 'state.load("…")',
    "generated": "state.generate(5)",
    "asked": 'state.ask("blocks.0.pattern", head=0, query=1, key=0)',
}


def doing(task: Task) -> list[str]:
    """The lines that do what a task asks for; empty where only the page can."""
    found = [_line(goal) for goal in task.reach]
    return found if all(found) else []


def counted(task: Task) -> bool:
    """Whether these lines count something from 0 that a person counts from 1."""
    return any(goal.name == "asked" or goal.name in {*PLACES} - {"neuron"} for goal in task.reach)


def _line(goal: Goal) -> str:
    if goal.name in PLACES or goal.name in RANGES:
        return f"state.{goal.name} = {goal.value if goal.how == 'is' else '…'}"
    if goal.name == "asked" and goal.how == "is" and goal.value != "pattern":
        return 'state.ask("…")'  # a tensor of that name, with its own cell
    return _LINES.get(goal.name, "")
