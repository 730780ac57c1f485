"""A lesson on paper: one HTML file without scripts, with the pictures and numbers of one run; the answers stand on pages of their own at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template

from txpanel.errors import Unsupported
from txpanel.lessons.answers import Foreseen, foreseen, right_shown
from txpanel.lessons.conditions import holds, missing
from txpanel.lessons.handout.belongs import pictures_of
from txpanel.lessons.handout.frames import Picture
from txpanel.lessons.handout.pictures import picture
from txpanel.lessons.lesson import Lesson, Step, Task
from txpanel.lessons.placing import example, is_here, placed
from txpanel.lessons.rendering import Pairs, decidable, heading, paragraphs, plain_text, said, sentence
from txpanel.lessons.situation import Situation
from txpanel.lessons.tasks import as_shares, ordered
from txpanel.messages import _, speaking
from txpanel.toolkit.palette import FONTS

__all__ = ["file_name", "handout"]

FOLDER = Path(__file__).parent
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that may stand in a text or a token, but not in an HTML file."""


@dataclass
class Question:
    """What is asked on the page of a step: the options to tick, or lines to write on."""

    number: int
    kind: str
    ask: Pairs
    options: list[Pairs] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """A picture with its number; one that has been shown before is referred to by its number alone."""

    number: int
    picture: Picture | None


@dataclass
class Figures:
    """The pictures so far. Steps that follow each other often speak of the same one."""

    numbers: dict[Picture, int] = field(default_factory=dict)

    def of(self, names: Iterable[str], here: Situation) -> list[Figure]:
        """The pictures of these names that this run has."""
        found = []
        for name in names:
            one = picture(name, here)
            if one is not None:
                known = self.numbers.get(one)
                found.append(
                    Figure(self.numbers.setdefault(one, len(self.numbers) + 1), one if known is None else None)
                )
        return found


@dataclass
class Part:
    """A step on paper.

    Attributes:
        text: the text itself, where its tokens are still to be guessed. turn: whether what follows begins on a new page, or it would
            tell the answer.
    """

    heading: Pairs
    blocks: list[Pairs]
    pictures: list[Figure]
    question: Question | None = None
    text: str = ""
    turn: bool = False


@dataclass
class Answer:
    """What stands at the end about a question: the right answer (none of what is to be done), what is observed then, and what lies behind wrong answers."""

    number: int
    kind: str
    heading: Pairs
    right: Pairs
    after: list[Pairs]
    hints: list[Pairs]
    foreseen: list[Foreseen]
    pictures: list[Figure]
    example: str = ""


def handout(lesson: Lesson, here: Situation, *, date: str = "") -> str:
    """A lesson as one HTML file that needs nothing else and asks no other machine for anything.

    Each step is evaluated at its own place, as if the steps were gone through in order. Steps that the model or the text does not have
    are left out, and so are questions that cannot be decided here. Where a step names heads of the model that are to be found, this takes some seconds.

    Args:
        here: the run that it is about, and the selection before the first step. date: to stand on it, in any form; empty: none.

    Returns:
        The text of the file, in the language of the lesson.

    Raises:
        Unsupported: the lesson needs a model with other parts, in words.
    """
    with speaking(lesson.language):
        if lesson.needs and not holds(lesson.needs, here):
            said_ = _("This lesson needs a model with: {parts}.")
            raise Unsupported(said_.format(parts=", ".join(missing(lesson.needs, here))))
        here = replace(here, on_page=False)
        parts, answers, left_out, of_the_page = _parts(lesson, here)
        running = here.trace.model
        model = running.title if running is not None else str(here.trace.provenance.get("model", ""))
        page = _template().render(
            lesson=lesson,
            intro=paragraphs(lesson.intro, here),
            model=model,
            text=here.trace.text,
            date=date,
            parts=parts,
            answers=answers,
            left_out=left_out,
            of_the_page=of_the_page,
            language=lesson.language.replace("_", "-"),
            fonts=_fonts(),
            words=_words() | {"computed": _computed().format(model=model)},
        )
    return UNPRINTABLE.sub("\ufffd", page)


def file_name(lesson: Lesson, suffix: str = "html") -> str:
    """A name for the file, such as ``attention.ja.html``; in English without the language."""
    return f"{lesson.id}.{suffix}" if lesson.language == "en" else f"{lesson.id}.{lesson.language}.{suffix}"


def _parts(lesson: Lesson, here: Situation) -> tuple[list[Part], list[Answer], list[str], list[str]]:
    """Steps, answers, and the headings of what is left out: of what this run does not have, of what is for the page alone."""
    parts: list[Part] = []
    asked: list[tuple[Step, Task, Situation]] = []
    left_out: list[str] = []
    of_the_page: list[str] = []
    figures = Figures()
    for step in lesson.steps:
        if not is_here(step, lesson, here):
            of_it = is_here(step, lesson, replace(here, on_page=True))
            (of_the_page if of_it else left_out).append(plain_text(heading(step, here)))
            continue
        here = placed(step.look, here)
        parts.append(_part(step, here, len(asked) + 1, figures))
        if step.task is not None and parts[-1].question is not None:
            asked.append((step, step.task, here))
    answers = [_answer(*one, n, figures) for n, one in enumerate(asked, 1)]  # their pictures come behind all others
    return parts, answers, left_out, of_the_page


def _part(step: Step, here: Situation, number: int, figures: Figures) -> Part:
    shown, covered = pictures_of(step)
    asked = step.task is not None and decidable(step.task, here)
    found = figures.of(shown if asked or step.task is None else shown + covered, here)
    part = Part(heading(step, here), paragraphs(step.blocks, here), found)
    if asked and step.task is not None:
        part.question = _question(step.task, here, number)
        part.turn = bool(covered)
        part.text = here.trace.text if "tokens" in covered else ""
    return part


def _question(task: Task, here: Situation, number: int) -> Question:
    options = [sentence(option.text, here) for option in ordered(task, here)]
    lines = {
        "do": [_("Your observation")],
        "number": [_("Your answer") + (" (%)" if as_shares(task, here) else "")],
        "token": [_("Token")],
        "cell": [_("query"), _("key")],
    }
    return Question(number, task.kind, sentence(task.ask, here), options, lines.get(task.kind, []))


def _answer(step: Step, task: Task, here: Situation, number: int, figures: Figures) -> Answer:
    title = heading(step, here)
    if task.kind == "do":  # its hints say where on the page something is, which has them itself
        done = example(task.reach, here)
        after = [
            block for block in task.after if done is not None or not any(kind == "value" for kind, _what in block.runs)
        ]
        then, what = done if done is not None else (here, [])
        lead = ", ".join(what) if any(kind == "value" for block in after for kind, _what in block.runs) else ""
        return Answer(number, "do", title, [], paragraphs(after, then), [], [], [], lead)
    found = figures.of(pictures_of(step)[1], here)
    return Answer(
        number,
        task.kind,
        title,
        right_shown(task, here),
        paragraphs(task.after, here),
        [one for hint in task.hints if (one := said(hint, here))],
        foreseen(task, here),
        found,
    )


def _words() -> dict[str, str]:
    return {
        "model": _("Model"),
        "text": _("Text"),
        "date": _("Date"),
        "name": _("Name"),
        "predict": _("Predict:"),
        "try_it": _("Try it:"),
        "on_page": _("This is done on the page of txpanel."),
        "figure": _("Figure {n}"),
        "see": _("See figure {n}."),
        "question": _("Question {n}"),
        "answers": _("Answers"),
        "for_teachers": _("To be kept apart from the questions."),
        "right": _("The answer is {answer}."),
        "wrong": _("What to say to other answers"),
        "confusion": _("A common confusion: {confusion}"),
        "hints": _("Hints"),
        "example": _("An example, with {what}:"),
        "of_the_page": _("These steps are for the page of txpanel alone: {all}."),
        "left_out": _("This model or text does not have what these steps are about: {all}."),
    }


def _fonts() -> str:
    """The page's fonts without its own web font; DejaVu Sans stands before the Japanese fonts, which draw signs such as ‖ and ␣ too wide."""
    return FONTS.removeprefix("Roboto,").replace("Arial,", 'Arial,"DejaVu Sans",')


def _computed() -> str:
    return _(
        "All numbers and right answers are computed from one run: of {model}, on the text at the top of the first page."
    )


@cache
def _template() -> Template:
    known = Environment(autoescape=True, loader=FileSystemLoader(FOLDER), trim_blocks=True, lstrip_blocks=True)
    return known.get_template("page.html")
