"""A lesson as a notebook. Its cells compute: the model is loaded, the state is moved to each step's place, answers are judged on the run that is there then."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from txpanel.decoding.settings import OFF, USUAL
from txpanel.lessons.by_code import counted, doing
from txpanel.lessons.handout.belongs import view_of
from txpanel.lessons.lesson import Lesson, Step, Task
from txpanel.lessons.placing import is_here, placed
from txpanel.lessons.rendering import decidable, paragraphs, sentence
from txpanel.lessons.situation import Situation
from txpanel.lessons.telling import markdown
from txpanel.messages import _, speaking

__all__ = ["notebook"]

VIEWS = "txpanel.views"
OWN = "txpanel.views."
EVERY = 3
"""A view that is there already moves along with the steps. So it is shown again only after so many of them: each one takes seconds and megabytes."""

Cell = dict[str, Any]


def notebook(lesson: Lesson, model_name: str, text: str, here: Situation | None = None, *, source: str = "") -> str:
    """A lesson as the text of an ``.ipynb`` file (nbformat 4.5), without outputs.

    Args:
        model_name: what `txpanel.load` takes. text: on which the model is run.
        here: the run of that model on that text; steps and questions that it does not have are left out. None: all are there, and a cell says
            that its step is not.
        source: where the notebook finds the lesson: a folder; empty: it is installed under its id.
    """
    here = replace(here, on_page=False) if here is not None else None
    with speaking(lesson.language):
        cells = list(_begin(lesson, model_name, text, source))
        last, since, told = "", 0, False
        for step in lesson.steps:
            if here is None or is_here(step, lesson, here):
                here = (
                    placed(step.look, here) if here is not None else None
                )  # the step's own place decides what it can ask
                view = view_of(step)
                again = view != last or since >= EVERY
                counts = not told and step.task is not None and step.task.kind == "do" and counted(step.task)
                cells += _step(step, here, view if again else "", counts=counts)
                told = told or counts
                last, since = (view, 1) if again else (last, since + 1)
    for n, cell in enumerate(cells):
        cell["id"] = f"cell-{n}"
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _begin(lesson: Lesson, model_name: str, text: str, source: str) -> Iterator[Cell]:
    intro = "\n\n".join(markdown(one) for one in paragraphs(lesson.intro, None))
    how = _(
        "Run the cells from top to bottom. All numbers are those of the run that is there then, and so are the right "
        "answers: put in another model or text, and they change."
    )
    live = _("The pictures are live: they move along with the steps below them.")
    yield _said(f"{markdown([('', lesson.title)], behind='# ')}\n\n{intro}\n\n{how} {live}")
    offline = _("works without the internet")
    language = ["from txpanel.messages import use_language", "", f"use_language({lesson.language!r})"]
    yield _code(
        "import panel as pn",
        "",
        "import txpanel",
        "from txpanel.lessons import Walk",
        *(language if lesson.language != "en" else [""]),
        f"pn.extension(inline=True)  # {offline}",
    )
    usual = "".join(f", {name}={value!r}" for name, value in USUAL.items() if value != OFF[name])
    yield _code(
        f"model = txpanel.load({model_name!r})",
        f"state = txpanel.ModelState(model=model, text={text!r}{usual})",
        f"walk = Walk({source or lesson.id!r}, state)",
    )


def _step(step: Step, here: Situation | None, view_id: str, *, counts: bool) -> Iterator[Cell]:
    yield _said(markdown(sentence(step.title, None), behind="## "))
    yield _code(f"walk.step({step.id!r})")
    view = _view(view_id)
    asked = step.task is not None and (here is None or step.task.kind == "do" or decidable(step.task, here))
    later = asked and bool(step.look.hidden)  # the view would tell the answer
    if view and not later:
        yield _code(*view)
    if asked and step.task is not None:
        yield _code(*_asking(step.id, step.task, counts=counts))
    if view and later:
        yield _code(*view)


def _view(name: str) -> list[str]:
    """The lines that show a view, found by its id among the entry points; empty where none is installed."""
    entry = next((one for one in importlib.metadata.entry_points(group=VIEWS) if one.name == name), None)
    if entry is None or not entry.attr:
        return []
    if entry.module.startswith(OWN):
        return [f"{VIEWS}.{entry.attr}(state)"]
    return [f"from {entry.module} import {entry.attr}", "", f"{entry.attr}(state)"]


def _asking(id: str, task: Task, *, counts: bool = False) -> list[str]:
    if task.kind == "do":
        how = [f"# {line}" for line in doing(task)]
        how += [f"# {_('Code counts blocks, heads and tokens from 0.')}"] if counts and how else []
        lead = _("Do it in a picture above, or here:")
        return [*([f"# {lead}", *how] if how else []), f"walk.check({id!r})"]
    forms = {
        "choice": _("the number of an option, from 1"),
        "number": _("a number"),
        "token": _("the position of a token, from 1"),
        "cell": _("[query, key], positions from 1"),
    }
    return [
        f"answer = None  # {forms[task.kind]}",
        f"walk.check({id!r}, answer)  # walk.hint({id!r}), walk.answer({id!r})",
    ]


def _said(text: str) -> Cell:
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(*lines: str) -> Cell:
    source = "\n".join(lines).splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "id": "", "metadata": {}, "outputs": [], "source": source}
