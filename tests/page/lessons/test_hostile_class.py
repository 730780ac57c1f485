"""Whatever those who follow a class send, the one who leads it leads on, and the others are brought along."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txpanel.lessons.classroom import classes
from txpanel.page.lessons import class_part
from txpanel.page.lessons.controller import EARLY, KINDS, LessonController
from txpanel.page.lessons.taking import TAKEN
from txpanel.session.state import ModelState

WHO = "0123456789abcdef"
STEPS = [
    ("attention", "which-is-which"),
    ("attention", "softmax"),
    ("sorting", "where"),
    ("sorting", "predict-first"),
    ("sorting", "write"),
]
HEARD = [kind for kind in sorted({*KINDS, *EARLY, *TAKEN}) if kind not in ("load", "file")]  # slow, and tried elsewhere
CODES = st.sampled_from(["@", "@ ", "ABCDEF", "", "é" * 3000])
VALUES = st.one_of(
    st.sampled_from([0, 1, -1, 6, 7, 2**53, -(2**53), 1e14, 0.5, float("nan"), float("inf"), None, True, "yes", "top", "other", "\ud800", "@", WHO]),
    st.integers(), st.floats(), st.text(max_size=4),
)  # fmt: skip
ANSWERS = st.one_of(VALUES, st.lists(VALUES, max_size=3), st.dictionaries(st.text(max_size=2), VALUES, max_size=2))
MESSAGES = st.fixed_dictionaries(
    {"kind": st.sampled_from([*HEARD, "answer", "answer", "join"])},
    optional={
        "answer": ANSWERS, "code": st.one_of(CODES, ANSWERS), "who": st.one_of(st.just(WHO), ANSWERS), "key": ANSWERS,
        "lesson": st.one_of(st.sampled_from([one for one, _step in STEPS]), ANSWERS),
        "step": st.one_of(st.sampled_from([step for _one, step in STEPS]), ANSWERS),
        "address": st.one_of(st.just("http://x"), ANSWERS),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> Iterator[list[LessonController]]:
    from txpanel.session.shared import shared_model

    patch = pytest.MonkeyPatch()
    patch.setattr(class_part.ClassPart, "offered", staticmethod(lambda: True))
    logging.getLogger("txpanel.messages").setLevel(logging.CRITICAL)
    made = [LessonController(lambda _view: None, lambda: "") for _each in range(3)]
    for one in made:
        one.attach(ModelState(model=shared_model("nano"), text="CBABBC="))
    yield made
    for one in made:
        one.teaching.part.end()
        one.close()
    logging.getLogger("txpanel.messages").setLevel(logging.NOTSET)
    patch.undo()
    assert not [room for room in classes._all.values() if not room.waits()]
    for room in list(classes._all.values()):
        room.end()


def say(one: LessonController, kind: str, **more: Any) -> None:
    one.component._handle_msg({"kind": kind, **more})


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from([1, 2]), MESSAGES), min_size=1, max_size=4), st.sampled_from(STEPS))
def test_a_class_goes_on_whatever_its_members_send(
    pages: list[LessonController], said: list[tuple[int, dict[str, Any]]], step: tuple[str, str]
) -> None:
    teacher, student, stranger = pages
    if not teacher.teaching.part.leads:
        say(teacher, "open", lesson="sorting")
        say(teacher, "class")
    code, key = teacher.component.classed["code"], teacher.component.classed["key"]
    say(student, "leave")
    say(student, "end")
    say(student, "join", code=code, who=WHO)
    say(teacher, "open", lesson=step[0], step=step[1])
    for at, message in said:
        given = {name: code if value == "@" else value for name, value in message.items()}
        pages[at].component._handle_msg(given)
        assert key not in str(pages[at].component.classed)
    room, classed = teacher.teaching.part.room, teacher.component.classed
    assert room is not None
    count = room.count()  # and the teacher's page says so: it was drawn after the last message
    assert (classed["leads"], classed["members"], classed["answered"]) == (True, count.members, count.answered)
    assert sum(row["n"] for row in classed.get("votes", [])) == count.answered
    before, after = teacher.component.shown["step"], ("attention", "mask")
    assert before == step[1]
    say(teacher, "open", lesson=after[0], step=after[1])
    assert teacher.component.shown["step"] == "mask"
    for one in (student, stranger):
        follows = one.teaching.part.room is teacher.teaching.part.room
        assert not follows or one.component.shown["step"] == "mask"
        assert one._state is not None
        one._state.param.update(error=None, text="CBABBC=")
