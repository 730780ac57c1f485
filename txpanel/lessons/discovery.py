"""Finding lessons: an entry point of the group ``txpanel.lessons`` leads to a folder, each folder in it with an ``en.md`` is a lesson."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from txpanel.compat.held_exits import is_held
from txpanel.errors import BadLesson
from txpanel.lessons.lesson import Lesson
from txpanel.lessons.reading import LANGUAGE, languages, read_lesson
from txpanel.messages import _
from txpanel.models.environment import environment

__all__ = ["GROUP", "Found", "find_lessons", "in_language", "lessons_in"]

GROUP = "txpanel.lessons"
OWN = "txpanel"
LONGEST = 200
"""Characters of an error that a package raises."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A lesson that is installed.

    Attributes:
        id: name of its folder. package: which brings it. folder: where it lies. lesson: in English; None where it cannot be read.
        error: why not, a sentence.
    """

    id: str
    package: str
    folder: Path
    lesson: Lesson | None = field(default=None, repr=False)
    error: str = ""


def find_lessons(entries: Iterable[importlib.metadata.EntryPoint] | None = None) -> list[Found]:
    """All lessons that are installed, in their order; our own ids come first and cannot be taken by others. Nothing is raised.

    Those that are installed are looked for once: each session asks.

    Args:
        entries: entry points to look at; None: those of the installed packages.
    """
    plugins = environment().plugins
    wanted = None if plugins is None else frozenset(plugins)
    return list(_all(wanted)) if entries is None else _found(entries, wanted)


@lru_cache(maxsize=4)
def _all(wanted: frozenset[str] | None) -> tuple[Found, ...]:
    return tuple(_found(_installed(), wanted))


def _found(given: Iterable[importlib.metadata.EntryPoint], wanted: frozenset[str] | None) -> list[Found]:
    found: dict[str, Found] = {}
    left_out: list[Found] = []
    for entry in sorted(set(given), key=lambda one: (not _own(one), _package(one), one.name)):
        package = _package(entry)
        if wanted is not None and not _own(entry) and not {entry.name, package} & wanted:
            continue
        for lesson in _of_entry(entry, package):
            first = found.setdefault(lesson.id, lesson)
            if first is lesson:
                continue
            if first.lesson is None and lesson.lesson is not None:  # what cannot be loaded takes no id from what can
                found[lesson.id] = lesson
                left_out.append(first)
            else:
                left_out.append(lesson if lesson.lesson is None else _taken(lesson, first))
    return sorted([*found.values(), *left_out], key=lambda one: (one.lesson.order if one.lesson else 1e9, one.id))


def _taken(lesson: Found, by: Found) -> Found:
    """A lesson whose id another one has."""
    said = _("The id “{id}” is that of a lesson of the package {package} already, so this one is left out.")
    error = said.format(id=lesson.id, package=by.package or OWN)
    logger.warning("a lesson is not used: %s %s", lesson.package, error)
    return replace(lesson, lesson=None, error=error)


def lessons_in(folder: Path, package: str = "") -> list[Found]:
    """The lessons of a folder: itself, if it has an ``en.md``, else each folder in it that has one."""
    own = f"{LANGUAGE}.md"
    folders = [folder] if (folder / own).is_file() else sorted(path.parent for path in folder.glob(f"*/{own}"))
    return [_read(one, package) for one in folders]


def in_language(found: Found, language: str) -> Lesson:
    """A lesson in a language; in English where it does not have that one, or that file cannot be read.

    Raises:
        BadLesson: the English one cannot be read either.
    """
    for code in (language, language.split("_")[0]):
        if code != LANGUAGE and code in languages(found.folder):
            lesson = _kept(found.folder, code)
            if isinstance(lesson, Lesson):
                return lesson
    if found.lesson is None:
        raise BadLesson(found.error)
    return found.lesson


def _installed() -> list[importlib.metadata.EntryPoint]:
    """The entry points of all installed packages; ours also where an older installation does not list it yet."""
    found = list(importlib.metadata.entry_points(group=GROUP))
    if not any(map(_own, found)):
        found.append(importlib.metadata.EntryPoint("course", f"{OWN}.lessons.course:FOLDER", GROUP))
    return found


@lru_cache(maxsize=512)
def _kept(folder: Path, language: str) -> Lesson | BadLesson:
    """A lesson, or why there is none, which the log is told once: each session asks."""
    try:
        return read_lesson(folder, language)
    except BadLesson as error:
        found = error
    except Exception as error:  # a file may hold anything
        logger.debug("a lesson that cannot be read", exc_info=error)
        found = BadLesson(
            _("{file} cannot be read ({error}).").format(file=folder / f"{language}.md", error=_in_a_line(error))
        )
    logger.warning("a lesson%s is not used: %s", "" if language == LANGUAGE else "'s translation", found)
    return found


def _of_entry(entry: importlib.metadata.EntryPoint, package: str) -> list[Found]:
    try:
        folder = Path(entry.load())
        lessons = lessons_in(folder, package)
    except BaseException as error:  # a plugin may do anything while it is imported
        if not is_held(error):
            raise
        said = _("The lessons of the package {package} could not be loaded ({error}).")
        text = said.format(package=package, error=_in_a_line(error))
        logger.warning("lessons are not used: %s", text)
        return [Found(entry.name, package, Path(), None, text)]
    if lessons:
        return lessons
    said = _("There is no lesson in {folder}: a folder with an en.md.").format(folder=folder)
    return [Found(entry.name, package, folder, None, said)]


def _read(folder: Path, package: str) -> Found:
    lesson = _kept(folder, LANGUAGE)
    if isinstance(lesson, Lesson):
        return Found(folder.name, package, folder, lesson)
    return Found(folder.name, package, folder, None, str(lesson))


def _in_a_line(error: BaseException) -> str:
    """An error of foreign code: its text may be empty, or a page long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else ""


def _own(entry: importlib.metadata.EntryPoint) -> bool:
    return _package(entry) in ("", OWN) and entry.module.startswith(f"{OWN}.lessons.")
