"""A `Situation` moved to the place that a step speaks of, with the step's selection and settings. The session itself does not change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from txpanel.decoding.ranges import RANGES, within
from txpanel.decoding.stages import SPECS
from txpanel.errors import TxpanelError
from txpanel.lessons.conditions import holds
from txpanel.lessons.goals import reached
from txpanel.lessons.lesson import PLACES, Goal, Lesson, Look, Step
from txpanel.lessons.situation import Situation
from txpanel.lessons.values import evaluate
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["example", "is_here", "move", "placed", "setting_named"]


def is_here(step: Step, lesson: Lesson, here: Situation) -> bool:
    """Whether this model and text have what a step is about: its conditions hold, and it asks for no other model or text."""
    running = here.trace.model.name if here.trace.model is not None else ""
    other_model = step.look.model and step.look.model not in (running, lesson.model)
    other_text = step.look.text and not here.trace.text.startswith(step.look.text)
    return holds(step.only, here) and not other_model and not other_text


def _places(look: Look, here: Situation) -> dict[str, int]:
    """The selection of a step; a place that this run does not have is left out."""
    found: dict[str, int] = {}
    for name, expression in look.places:
        try:
            found[name] = int(evaluate(expression, here).raw)
        except (TxpanelError, ValueError):
            continue
    return found


def _settings(look: Look, here: Situation) -> dict[str, float]:
    """The settings of sampling that a step sets, within their ranges; one that cannot be computed here is left out."""
    found: dict[str, float] = {}
    for name, expression in look.settings:
        with suppress(TxpanelError):
            number = within(name, evaluate(expression, here).raw)
            if number is not None:
                found[name] = number
    return found


def placed(look: Look, here: Situation) -> Situation:
    """The situation with a step's selection and settings; whatever the step does not set stays."""
    return _with_settings(_moved(here, _places(look, here)), _settings(look, here))


def move(state: ModelState, look: Look, here: Situation) -> None:
    """Moves a state itself to the place of a step, and gives it its settings."""
    if found := _places(look, here):
        state.focus(**found)
    if wanted := _settings(look, here):
        state.param.update(**wanted)


def example(goals: tuple[Goal, ...], here: Situation) -> tuple[Situation, list[str]] | None:
    """A situation in which the goals are reached, and in words what was set for it.

    Returns:
        None where it takes another run, such as one of another text.
    """
    to: dict[str, int] = {}
    chosen: dict[str, float] = {}
    said: list[str] = []
    for goal in goals:
        if goal.name in RANGES:
            value = _setting(goal, float(here.settings.get(goal.name, 0.0)))
            chosen[goal.name] = value
            said.append(setting_named(goal.name, value))
        elif goal.name in PLACES:
            place = _place(goal, here)
            to[goal.name] = place
            said.append(_goal_text(goal.name, place))
        else:
            return None
    now = {**{name: float(getattr(here, name)) for name in PLACES}, **here.settings}
    then = {**now, **to, **chosen}
    moved = _with_settings(_moved(here, to), chosen)
    return (moved, said) if reached(goals, then, now) and all(getattr(moved, name) == to[name] for name in to) else None


def setting_named(name: str, value: float) -> str:
    """A setting with its value, as the page calls it."""
    labels = {spec.key: spec.words().label for spec in SPECS} | {"seed": _("seed")}
    return f"{labels[name]} {value:g}"


def _moved(here: Situation, to: Mapping[str, int]) -> Situation:
    """The situation with another selection, clamped to what the run has, as `ModelState.focus` does."""
    wanted = {name: int(to.get(name, getattr(here, name))) for name in PLACES}
    layer = min(max(0, wanted["layer"]), here.anatomy.n_layers - 1)
    block = here.anatomy.blocks[layer]
    ends = {"query": len(here.ids), "key": len(here.ids), "head": block.n_heads, "neuron": block.n_neurons}
    inside = {name: min(max(0, wanted[name]), max(0, end - 1)) for name, end in ends.items()} | {"layer": layer}
    if all(getattr(here, name) == value for name, value in inside.items()):
        return here
    more: dict[str, Any] = dict(inside)
    if here.anatomy.fills and inside["query"] != here.query:
        from txpanel.session.jobs import answering  # late: torch; reading a lesson needs none

        trace = answering(here.trace, inside["query"])
        if trace is not here.trace:
            more |= {"trace": trace, "sample": _drawn(trace, here.settings)}
    return replace(here, **more)


def _with_settings(here: Situation, more: Mapping[str, float]) -> Situation:
    merged = {**here.settings, **{name: float(value) for name, value in more.items()}}
    if merged == dict(here.settings):
        return here
    return replace(here, settings=merged, sample=_drawn(here.trace, merged))


def _drawn(trace: Any, chosen: Mapping[str, float]) -> Any:
    from txpanel.decoding import FIELDS, Settings  # late: torch; reading a lesson needs none
    from txpanel.session.jobs import drawn

    return drawn(trace, Settings(**{name: RANGES[name][0](chosen[name]) for name in FIELDS if name in chosen}))[0]


# -- a state in which a goal is reached ------------------------------------------------------------------------------------------


def _setting(goal: Goal, now: float) -> float:
    kind, least, most = RANGES[goal.name]
    if goal.how == "is":
        return float(goal.value)
    bound = float(goal.value) if goal.value else now
    if kind is int:
        value = math.ceil(bound) - 1 if goal.how == "below" else math.floor(bound) + 1
        return float(min(max(value, least), most))
    down = goal.how == "below" or (goal.how == "changed" and now >= most)
    return round((least + bound) / 2 if down else (bound + most) / 2, 2)


def _place(goal: Goal, here: Situation) -> int:
    now = int(getattr(here, goal.name))
    if goal.how == "is":
        return int(float(goal.value))
    if goal.how == "below":
        return math.ceil(float(goal.value)) - 1
    if goal.how == "above":
        return math.floor(float(goal.value)) + 1
    end = {"layer": here.anatomy.n_layers, "head": here.block.n_heads, "neuron": here.block.n_neurons}
    return (now + 1) % max(1, end.get(goal.name, len(here.ids)))


def _goal_text(name: str, place: int) -> str:
    said = {
        "layer": _("block {n}"),
        "head": _("head {n}"),
        "query": _("query {n}"),
        "key": _("key {n}"),
        "neuron": _("neuron {n}"),
    }[name]
    return said.format(n=place + (name != "neuron"))
