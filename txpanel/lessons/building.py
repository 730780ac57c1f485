"""From the parts of a file to the values of `lesson`: every name is checked here, so that a page never gets an unknown one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from txpanel.decoding.ranges import RANGES
from txpanel.errors import BadLesson
from txpanel.lessons import conditions, page_parts
from txpanel.lessons.confusions import CONFUSIONS
from txpanel.lessons.draft import Draft, File
from txpanel.lessons.expressions import Expression, parse
from txpanel.lessons.goals import goal
from txpanel.lessons.lesson import PLACES, Block, Lesson, Look, Option, Runs, Step, Task, Wrong
from txpanel.lessons.markdown import at_line, inline
from txpanel.lessons.values import checked
from txpanel.messages import _

__all__ = ["build"]

T = TypeVar("T")
FRONT = {"title", "order", "minutes", "needs", "model", "text"}
LOOK = {"lit", "hide", "play", "open", "model", "text", "settings", "only", *PLACES}
KINDS = ("choice", "number", "token", "cell")
TASK_TEXTS = {"ask", "hints", "after"}
TASK = {"answer", "within", "options", "order", "wrong", "reach"} | TASK_TEXTS
EACH_TEXTS = {"text", "says"}
EACH = {"value", "confusion"} | EACH_TEXTS
MOST_HINTS = 3


def build(name: str, language: str, english: File, texts: File) -> Lesson:
    """The lesson; `texts` is the English file itself, or that of another language."""
    front = english.front
    _check_names(front, FRONT)
    if texts is not english:
        _check_names(texts.front, {"title"})
    title = texts.front.get("title", "")
    if not isinstance(title, str) or not title.strip():
        raise BadLesson(_("The front matter needs a title."))
    if not english.steps:
        raise BadLesson(_("A lesson needs at least one step."))
    steps = tuple(_step(step, text) for step, text in zip(english.steps, texts.steps, strict=True))
    return Lesson(
        id=name,
        language=language,
        title=title.strip(),
        steps=steps,
        intro=tuple(map(_block, texts.intro)),
        order=_number(front.get("order", "100")),
        minutes=int(_number(front.get("minutes", "0"))),
        needs=_conditions(front.get("needs", "")),
        model=_text(front.get("model", "")),
        text=_text(front.get("text", "")),
    )


def _step(draft: Draft, texts: Draft) -> Step:
    own = draft is texts
    if not own and texts.look is not None:
        raise at_line(BadLesson(_("“look” stands in the English file alone.")), texts.look_line)
    if not own and ((draft.task is None) != (texts.task is None) or draft.kind != texts.kind):
        said = _("The task of “{id}” is not of the kind that the English file has.")
        raise at_line(BadLesson(said.format(id=draft.id)), texts.task_line or texts.line)
    look = draft.look or {}
    only = _with_line(draft.look_line, lambda: _conditions(look.get("only", "")))
    task = None
    if draft.task is not None:
        task = _with_line(
            texts.task_line, lambda: _task(draft.kind, draft.task or {}, texts.task or {}, texts.task_line, own)
        )
    return Step(
        id=draft.id,
        title=texts.title,
        blocks=tuple(_with_line(texts.line, lambda block=block: _block(block)) for block in texts.blocks),  # type: ignore[misc]
        look=_with_line(draft.look_line, lambda: _look(look)),
        task=task,
        only=only,
        line=texts.line,
    )


def _with_line(line: int, step: Callable[[], T]) -> T:
    """What `step` returns; an error of it gets the line of the file in front."""
    try:
        return step()
    except BadLesson as error:
        raise at_line(error, line) from error


def _block(block: Block) -> Block:
    return Block(block.runs, _conditions(" ".join(block.only)))


def _look(given: Mapping[str, Any]) -> Look:
    _check_names(given, LOOK)
    places = tuple((name, _expression(given[name])) for name in PLACES if name in given)
    settings = given.get("settings", {})
    _check_names(settings, set(RANGES))
    play = _text(given.get("play", ""))
    if play and play not in page_parts.PLAYED:
        raise BadLesson(_("“{name}” is not a part that ▶ Play stops at.").format(name=play[:40]))
    return Look(
        lit=_parts(given.get("lit", "")),
        hidden=_parts(given.get("hide", "")),
        play=play,
        open=_text(given.get("open", "")),
        model=_text(given.get("model", "")),
        text=_text(given.get("text", "")),
        places=places,
        settings=tuple((name, _setting(value)) for name, value in settings.items()),
    )


def _setting(given: Any) -> Expression:
    """A number, or a value of the run."""
    try:
        return _number(given)
    except BadLesson:
        return _expression(given)


def _task(kind: str, given: Mapping[str, Any], texts: Mapping[str, Any], line: int, own: bool) -> Task:
    if kind not in (*KINDS, "do"):
        raise BadLesson(_("A task is “predict choice”, “number”, “token” or “cell”, or “do”."))
    _check_names(given, TASK)
    if not own:
        _check_names(texts, TASK_TEXTS | {"options", "wrong"})
    answer = _list(given.get("answer", ""))
    sizes = {"cell": 2, "do": 0}
    if len(answer) != sizes.get(kind, 1):
        raise BadLesson(_("A cell needs an answer of two, query and key; “do” none; every other task one."))
    within = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", _text(given.get("within", "0")).strip())
    if within is None:
        raise BadLesson(_("“within” is a number, or a share such as “10 %”."))
    hints = _list(texts.get("hints", []), split=False)
    if len(hints) > MOST_HINTS:
        raise BadLesson(_("A task has at most {n} hints.").format(n=MOST_HINTS))
    if not own and len(hints) != len(_list(given.get("hints", []), split=False)):
        raise BadLesson(_("There are not as many hints as in the English file."))
    options = tuple(_option(id, one, text, line, own) for id, one, text in _pairs(given, texts, "options", own))
    if (kind == "choice") != (len(options) > 1):
        raise BadLesson(_("A choice has two options or more, and no other task has options."))
    order = _text(given.get("order", ""))
    if order and (order != "value" or kind != "choice"):
        raise BadLesson(_("“order” is “value”, and only a choice has it."))
    reach = given.get("reach", {})
    if (kind == "do") != bool(reach) or not isinstance(reach, dict):
        raise BadLesson(_("“do” says in “reach” which state is to be reached, and no other task does."))
    return Task(
        kind=kind,  # type: ignore[arg-type]
        ask=_runs(texts.get("ask", ""), line, needed=True),
        answer=tuple(map(_expression, answer)),
        within=float(within[1]) / (100 if within[2] else 1),
        relative=bool(within[2]),
        options=options,
        by_value=bool(order),
        wrong=tuple(_wrong(id, one, text, line, kind, own) for id, one, text in _pairs(given, texts, "wrong", own)),
        reach=tuple(goal(name, _text(value)) for name, value in reach.items()),
        hints=tuple(_runs(hint, line, needed=True) for hint in hints),
        after=tuple(Block(_runs(text, line)) for text in _paragraphs(texts.get("after", ""))),
    )


def _pairs(
    given: Mapping[str, Any], texts: Mapping[str, Any], name: str, own: bool
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Each of the options or wrong answers: its id, what the English file says of it, and its texts."""
    one, other = given.get(name, {}), texts.get(name, {})
    for found in (one, other):
        if found and (not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values())):
            raise BadLesson(_("“{name}” has an id for each, and under it names and values.").format(name=name))
    if list(one or ()) != list(other or ()):
        raise BadLesson(_("“{name}” does not have the ids of the English file, in the same order.").format(name=name))
    for each in (one or {}).values():
        _check_names(each, EACH)
    if not own:
        for each in (other or {}).values():
            _check_names(each, EACH_TEXTS)
    return [(id, one[id], other[id]) for id in one or ()]


def _option(id: str, given: Mapping[str, Any], texts: Mapping[str, Any], line: int, own: bool) -> Option:
    value = _expression(given["value"]) if "value" in given else id
    says = _runs(texts.get("says", ""), line)
    return Option(id, value, _runs(texts.get("text", ""), line, needed=True), says, _confusion(given))


def _wrong(id: str, given: Mapping[str, Any], texts: Mapping[str, Any], line: int, kind: str, own: bool) -> Wrong:
    values = _list(given.get("value", ""))
    if values and len(values) != (2 if kind == "cell" else 1):
        raise BadLesson(_("A wrong answer has as many values as the right one."))
    return Wrong(
        id, tuple(map(_expression, values)), _runs(texts.get("says", ""), line, needed=True), _confusion(given)
    )


def _confusion(given: Mapping[str, Any]) -> str:
    name = _text(given.get("confusion", ""))
    if name and name not in CONFUSIONS:
        raise BadLesson(
            _("There is no confusion “{name}”; there are: {all}.").format(name=name[:40], all=", ".join(CONFUSIONS))
        )
    return name


def _runs(text: Any, line: int, needed: bool = False) -> Runs:
    found = inline(text, line)
    if needed and not found:
        raise BadLesson(_("A text is missing here."))
    return found


def _expression(text: Any) -> Expression:
    return checked(parse(_text(text)))


def _conditions(text: Any) -> tuple[str, ...]:
    return tuple(conditions.known(name) for name in _list(text))


def _parts(text: Any) -> tuple[str, ...]:
    names = tuple(_list(text))
    for name in names:
        if name not in page_parts.PARTS:
            said = _("There is no part “{name}” of the page to be lit; there are: {all}.")
            raise BadLesson(said.format(name=name[:40], all=", ".join(page_parts.PARTS)))
    return names


def _list(given: Any, split: bool = True) -> list[str]:
    """A list, or words with commas or blanks between them (expressions stand in lists where there are two)."""
    if isinstance(given, list):
        return [_text(one) for one in given]
    text = _text(given).strip()
    if not text:
        return []
    return [text] if not split or "(" in text else text.replace(",", " ").split()


def _paragraphs(text: Any) -> list[str]:
    return [part for part in _text(text).split("\n\n") if part.strip()]


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise BadLesson(_("A text is expected, not a list or a mapping."))
    return given


def _number(given: Any) -> float:
    try:
        found = float(_text(given))
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e9:
        raise BadLesson(_("“{text}” is not a number.").format(text=str(given)[:40]))
    return found


def _check_names(given: Any, names: set[str]) -> None:
    """Refuse a mapping with other keys than these names."""
    if not isinstance(given, dict):
        raise BadLesson(_("There must be names and values, such as “lit: embedding”."))
    unknown = sorted(set(given) - names)
    if unknown:
        said = _("There is no “{name}”. There are: {all}.")
        raise BadLesson(said.format(name=unknown[0][:40], all=", ".join(sorted(names))))
