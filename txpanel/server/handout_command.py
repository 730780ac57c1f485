"""``txpanel lessons handout`` and ``txpanel lessons notebook``: a lesson on paper, and as a notebook."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txpanel.messages import _, languages, speaking

if TYPE_CHECKING:
    from txpanel.lessons.lesson import Lesson
    from txpanel.lessons.situation import Situation

__all__ = ["add_exports"]

OK = 0


def add_exports(which: Any) -> None:
    """Adds both commands to those of ``txpanel lessons``."""
    handout = which.add_parser(
        "handout",
        help=_("write a lesson as a page to print"),
        description=_(
            "Write a lesson as one HTML file to print, with the pictures and numbers of a run and the answers on pages of their own."
        ),
    )
    _options(handout, "html")
    handout.set_defaults(run=_handout)
    notebook = which.add_parser(
        "notebook",
        help=_("write a lesson as a notebook"),
        description=_("Write a lesson as a notebook whose cells run the model, show the views and judge answers."),
    )
    _options(notebook, "ipynb")
    notebook.set_defaults(run=_notebook)


def _options(command: argparse.ArgumentParser, suffix: str) -> None:
    command.add_argument("lesson", metavar="LESSON", help=_("id from `txpanel lessons`, or a folder"))
    command.add_argument(
        "--model",
        metavar="NAME",
        help=_("the model (default: the lesson's own, else the one that txpanel serve would choose)"),
    )
    command.add_argument("--text", help=_("the text (default: the lesson's own, else the model's example)"))
    command.add_argument(
        "--language", metavar="CODE", help=_("language of the lesson, such as ja (default: that of the command line)")
    )
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=_("the file (default: LESSON.{suffix})").format(suffix=suffix)
    )


def _handout(given: argparse.Namespace) -> int:
    from txpanel.lessons.handout.page import handout  # late: each command imports what it needs

    return _written(given, "html", lambda lesson, here, _name: handout(lesson, here, date=date.today().isoformat()))


def _notebook(given: argparse.Namespace) -> int:
    from txpanel.lessons.discovery import find_lessons  # late: each command imports what it needs
    from txpanel.lessons.handout.notebook import notebook

    installed = given.lesson in {one.id for one in find_lessons()}
    source = "" if installed else str(Path(given.lesson).resolve())
    return _written(
        given, "ipynb", lambda lesson, here, name: notebook(lesson, name, here.trace.text, here, source=source)
    )


def _written(given: argparse.Namespace, suffix: str, make: Callable[[Lesson, Situation, str], str]) -> int:
    """Makes a file of a lesson and the run that it is to be about."""
    from txpanel.lessons.handout.page import file_name  # late: each command imports what it needs
    from txpanel.lessons.walk import lesson_of

    if given.language and given.language not in languages():
        said = _("There is no language {code}; there are: {all}.")
        raise ValueError(said.format(code=given.language, all=", ".join(languages())))
    with speaking(given.language):
        lesson = lesson_of(given.lesson, given.language)
        path = given.output or Path(file_name(lesson, suffix))
        if path.suffix.lower() != f".{suffix}":
            raise ValueError(_("{file} must end in {suffix}.").format(file=path, suffix=f".{suffix}"))
        if not path.parent.is_dir():
            raise ValueError(_("There is no folder {folder}.").format(folder=path.parent))
        here, name, reason = _run(given, lesson)
        text = make(lesson, here, name)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ValueError(_("{file} cannot be written ({error}).").format(file=path, error=error)) from error
        model = here.trace.model
        print(
            _("Saved {file}, made by {model}. {reason}").format(
                file=path, model=model.title if model else name, reason=reason
            )
        )
    return OK


def _run(given: argparse.Namespace, lesson: Lesson) -> tuple[Situation, str, str]:
    """The run that the lesson is to be about, with the settings that a page begins with; the model's name; and why that model runs."""
    from txpanel.decoding.settings import USUAL  # late: each command imports what it needs
    from txpanel.errors import Unsupported
    from txpanel.lessons.situation import situation_of
    from txpanel.page.top_bar.words import default_text
    from txpanel.server.loading import load_chosen
    from txpanel.session.state import ModelState

    model, chosen = load_chosen(given.model or lesson.model or None)
    reason = _("It is the lesson's own model.") if lesson.model and not given.model else chosen.reason
    asked = given.text if given.text is not None else lesson.text or default_text(model.name)
    usual: dict[str, Any] = dict(USUAL)
    state = ModelState(model=model, text=asked, **usual)
    here = situation_of(state)
    if here is None:
        raise Unsupported(state.error or _("The model cannot read this text."))
    return here, chosen.name, reason
