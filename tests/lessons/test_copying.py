"""Who copies the right answers of one text is wrong on another one: what is asked about the ten confusions follows from the run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from txpanel.errors import BadLesson
from txpanel.lessons.conditions import holds
from txpanel.lessons.confusions import CONFUSIONS
from txpanel.lessons.course import FOLDER
from txpanel.lessons.discovery import lessons_in
from txpanel.lessons.lesson import Step, Task
from txpanel.lessons.placing import placed
from txpanel.lessons.rendering import decidable, plain_text, sentence
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import judge, ordered, right_answer
from txpanel.lessons.values import evaluate
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState

TEXTS = {
    "nano": ("CBABBC=", "EDCBA=", "EEDC=", "DACBDE=AB", "BBDA=A", "CEA="),
    "smollm2": (
        "The cat sat on the mat because it was",
        "One, two, three, four,",
        "The capital of France is",
        "def add(a, b):\n    return",
        "Once upon a time there was a",
        "the red fox and the red",
    ),
}
LEAST = 8
"""Of the ten confusions so many have only questions that cannot be copied, on each model."""
ASKED = 4
"""On so many of the six texts the question can be decided."""
MOST = 0.5
"""So often a copied answer may be right all the same: of three options, two texts have the same one by chance."""

Asked = tuple[Task, Situation]


def questions() -> Iterator[tuple[str, tuple[str, ...], Step, Task]]:
    """The questions about each confusion, with what their lessons need."""
    for found in lessons_in(FOLDER):
        assert found.lesson is not None
        for step in found.lesson.steps:
            task = step.task
            for name in {one.confusion for one in (*task.options, *task.wrong)} - {""} if task is not None else ():
                assert task is not None
                yield name, found.lesson.needs, step, task


def copied(one: Asked, other: Asked) -> dict[str, bool]:
    """Whether what was right is right elsewhere: by what it said, and by where it stood."""
    (task, here), (_same, there) = one, other
    right = right_answer(task, here)
    if task.kind != "choice":
        given = [found.raw for found in right.found]
        try:
            return {"answer": judge(task, given if task.kind == "cell" else given[0], there).right}
        except BadLesson:  # a token that the other text does not have
            return {"answer": False}
    options, others = ordered(task, here), ordered(task, there)
    at = [option.id for option in options].index(right.option)
    said = plain_text(sentence(options[at].text, here))
    same = [option.id for option in others if plain_text(sentence(option.text, there)) == said]
    wanted = right_answer(task, there).option
    return {"words": wanted in same, "place": others[at].id == wanted}


def rate(asked: list[Asked]) -> float:
    """How often a copied answer is right, over all pairs of texts, whichever way of copying is better."""
    pairs = [copied(one, other) for one, other in permutations(asked, 2)]
    return max(sum(pair[way] for pair in pairs) / len(pairs) for way in pairs[0])


@pytest.mark.parametrize("name", ["nano", pytest.param("smollm2", marks=(pytest.mark.real, pytest.mark.sweep))])
def test_the_right_answers_cannot_be_copied(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    situations = [situation_of(ModelState(model=model, text=text)) for text in TEXTS[name]]
    found: dict[str, list[float]] = {}
    for confusion, needs, step, task in questions():
        asked = [
            (task, at)
            for here in situations
            if here is not None and holds((*needs, *step.only), here) and decidable(task, at := placed(step.look, here))
        ]
        found.setdefault(confusion, []).append(rate(asked) if len(asked) >= ASKED else 1.0)
    assert set(found) == set(CONFUSIONS)
    free = [confusion for confusion, rates in found.items() if max(rates) <= MOST]
    assert len(free) >= LEAST, found


def test_what_a_confusion_would_answer_is_never_right(nano: LanguageModel) -> None:
    """Neither an option that stands for one, nor a number or place."""
    for text in TEXTS["nano"]:
        here = situation_of(ModelState(model=nano, text=text))
        assert here is not None
        for _confusion, needs, step, task in questions():
            if not holds((*needs, *step.only), here) or not decidable(task, at := placed(step.look, here)):
                continue
            for option in task.options:
                assert not (option.confusion and judge(task, option.id, at).right), (step.id, text)
            for wrong in task.wrong:
                if wrong.confusion:
                    given = [evaluate(value, at).raw for value in wrong.value]
                    assert not judge(task, given if task.kind == "cell" else given[0], at).right, (step.id, text)
