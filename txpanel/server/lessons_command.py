"""``txpanel lessons``: list those that are installed, check one, begin one; `handout_command` has what writes files of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txpanel.messages import _, plural
from txpanel.server.handout_command import add_exports
from txpanel.server.terminal import table

if TYPE_CHECKING:
    from txpanel.lessons.check import Problem
    from txpanel.lessons.discovery import Found

OK, FAILED = 0, 1


def add_lessons(commands: Any) -> None:
    """Adds the command to the parser."""
    lessons = commands.add_parser(
        "lessons", help=_("list, check and begin lessons"), description=_("List, check and begin lessons.")
    )
    lessons.set_defaults(run=_list)
    lessons.add_argument("--json", action="store_true", help=_("output as JSON"))
    which = lessons.add_subparsers(title=_("commands"), metavar="COMMAND")
    check = which.add_parser(
        "check",
        help=_("find what is wrong with lessons"),
        description=_("Try every value, state and question of lessons on several models and texts."),
    )
    check.add_argument(
        "lessons",
        nargs="*",
        metavar="LESSON",
        help=_("ids of lessons that are installed, or folders of lessons (default: all that are installed)"),
    )
    check.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help=_("a model to try them on as well; may be repeated"),
    )
    check.add_argument(
        "--languages", default="en", metavar="A,B", help=_("languages that each lesson must have (default: en)")
    )
    check.add_argument("--json", action="store_true", help=_("output as JSON"))
    check.set_defaults(run=_check)
    new = which.add_parser(
        "new", help=_("begin a lesson"), description=_("Write a small lesson to be changed, in a new folder.")
    )
    new.add_argument("folder", type=Path, metavar="FOLDER", help=_("its folder; the name becomes the lesson's id"))
    new.set_defaults(run=_new)
    add_exports(which)


def _list(given: argparse.Namespace) -> int:
    from txpanel.lessons.discovery import find_lessons  # late: each command imports what it needs
    from txpanel.lessons.reading import languages

    found = [(one, languages(one.folder) if one.lesson else []) for one in find_lessons()]
    if given.json:
        rows = [
            {
                "lesson": one.id,
                "package": one.package,
                "languages": codes,
                "steps": len(one.lesson.steps) if one.lesson else 0,
                "title": one.lesson.title if one.lesson else None,
                "error": one.error or None,
            }
            for one, codes in found
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return OK
    head = (_("lesson"), _("package"), _("languages"), _("steps"), _("title, or the problem"))
    cells = [
        (
            one.id,
            one.package,
            ", ".join(codes),
            str(len(one.lesson.steps)) if one.lesson else "",
            one.lesson.title if one.lesson else one.error,
        )
        for one, codes in found
    ]
    print(table(head, cells))
    return OK


def _check(given: argparse.Namespace) -> int:
    from txpanel.errors import BadLesson  # late: each command imports what it needs
    from txpanel.lessons.discovery import find_lessons, lessons_in

    found = [] if given.lessons else find_lessons()
    for name in given.lessons:
        these = lessons_in(Path(name)) or [one for one in find_lessons() if one.id == name]
        if not these:
            raise BadLesson(
                _(
                    "There is no lesson “{name}”: neither an id that `txpanel lessons` lists, nor a folder with an en.md."
                ).format(name=name)
            )
        found += these
    models = list(_models(given.model))
    wanted = [code.strip() for code in given.languages.split(",") if code.strip()]
    problems = [problem for one in found for problem in _problems(one, models, wanted)]
    if given.json:
        print(json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False))
    else:
        for problem in problems:
            print(problem)
        count = plural("{n} lesson", "{n} lessons", len(found)).format(n=len(found))
        bad = plural("{n} problem", "{n} problems", len(problems)).format(n=len(problems))
        print(_("Checked {lessons} on {models}: {problems}.").format(
            lessons=count, models=", ".join(model.name for model, _texts in models), problems=bad
        ))  # fmt: skip
    return FAILED if problems else OK


def _problems(one: Found, models: Sequence[tuple[Any, Sequence[str]]], wanted: Sequence[str]) -> list[Problem]:
    """Those of a lesson; of one that is not used, why."""
    from txpanel.lessons.check import Problem, check_lesson  # late: each command imports what it needs

    return [Problem(one.id, "", "", one.error)] if one.lesson is None else check_lesson(one.folder, models, wanted)


def _models(names: Sequence[str]) -> Iterator[tuple[Any, Sequence[str]]]:
    from txpanel.lessons.shapes import TEXTS, shapes  # late: torch
    from txpanel.models.loading import load

    yield from shapes()
    for name in names:
        yield load(name), TEXTS


def _new(given: argparse.Namespace) -> int:
    from txpanel.lessons.new import begin  # late: each command imports what it needs

    path = begin(given.folder)
    print(
        _("{file} is written. Change it, then: txpanel lessons check {folder}").format(file=path, folder=given.folder)
    )
    return OK
