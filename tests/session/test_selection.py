"""Focus and questions: always inside the trace, one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.session.selection import PLACES, Question, Selection
from txpanel.tracing import record

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def focus(tiny: Tiny) -> Selection:
    return Selection(trace=record(tiny("llama"), "seven w"))  # 3 blocks, 4 heads, 48 neurons, 7 tokens


def places(focus: Selection) -> tuple[int, ...]:
    return tuple(getattr(focus, name) for name in PLACES)


def test_focus_clamps_and_is_one_event(focus: Selection) -> None:
    events: list[int] = []
    focus.param.watch(lambda *changes: events.append(len(changes)), list(PLACES))
    focus.focus(layer=99, head=99, query=99, key=99, neuron=9999)
    assert places(focus) == (2, 3, 6, 6, 47)
    assert events == [5]
    focus.focus(layer=-1, key=-5)
    assert places(focus) == (0, 3, 6, 0, 47)
    assert events == [5, 2]
    focus.focus(layer=0)
    assert events == [5, 2]  # nothing moved, nobody is told


def test_setting_a_place_directly_clamps_before_anybody_sees_it(focus: Selection) -> None:
    seen: list[int] = []
    focus.param.watch(lambda event: seen.append(event.new), "head")
    focus.head = 1000
    assert seen == [3]


def test_a_block_with_fewer_heads_moves_the_head(focus: Selection) -> None:
    blocks = [SimpleNamespace(n_heads=8, n_neurons=10), SimpleNamespace(n_heads=2, n_neurons=3)]
    focus.trace = SimpleNamespace(
        anatomy=SimpleNamespace(n_layers=2, blocks=blocks), tokens=SimpleNamespace(ids=[1, 2])
    )
    focus.focus(layer=0, head=7, neuron=9)
    focus.layer = 1
    assert (focus.head, focus.neuron) == (1, 2)


def test_without_a_trace_places_wait_for_it() -> None:
    focus = Selection(layer=50, head=3)
    assert places(focus) == (50, 3, 0, 0, 0)


def test_what_is_no_place_is_refused(focus: Selection) -> None:
    with pytest.raises(TypeError, match="column"):
        focus.focus(column=1)
    with pytest.raises(ValueError, match=r"invalid literal|whole|integer"):
        focus.focus(layer="many")  # type: ignore[arg-type]


def test_questions_have_a_trail(focus: Selection) -> None:
    focus.ask("blocks.0.scores", head=1, query=2, key=0)
    focus.ask("blocks.0.q", head=1, token=2, dim=0)
    assert focus.question == Question("blocks.0.q", {"head": 1, "token": 2, "dim": 0})
    assert (focus.can_go_back, focus.can_go_forward) == (True, False)
    focus.back()
    assert focus.question is not None
    assert focus.question.name == "blocks.0.scores"
    assert (focus.can_go_back, focus.can_go_forward) == (False, True)
    focus.back()
    assert focus.question.name == "blocks.0.scores"
    focus.forward()
    assert focus.question.name == "blocks.0.q"
    assert focus.trace.why(focus.question.name, **focus.question.index).check.ok
    focus.dismiss()
    assert focus.question is None
    assert not focus.can_go_back


def test_the_trail_can_be_seen_and_walked_several_steps_at_once(focus: Selection) -> None:
    assert (focus.trail, focus.trail_place) == ((), -1)
    asked = [Question("logits", {"vocab": n}) for n in range(4)]
    for question in asked:
        focus.ask(question.name, **question.index)
    assert (focus.trail, focus.trail_place) == (tuple(asked), 3)
    events: list[Any] = []
    focus.param.watch(events.append, "question")
    focus.back(2)
    assert (focus.question, focus.trail_place, len(events)) == (asked[1], 1, 1)
    focus.back(10**12)  # a number that somebody made up
    assert (focus.question, focus.trail_place) == (asked[0], 0)
    focus.back(-3)
    assert focus.trail == tuple(asked)
    focus.ask("logits", vocab=9)
    assert focus.trail == (asked[0], Question("logits", {"vocab": 9}))


def test_asking_is_one_event(focus: Selection) -> None:
    events: list[Any] = []
    focus.param.watch(lambda *changes: events.append(changes), ["question", "can_go_back", "can_go_forward"])
    focus.ask("logits", vocab=1)
    focus.ask("logits", vocab=2)
    assert len(events) == 2


def test_questions_can_be_pinned_beside_each_other(focus: Selection) -> None:
    focus.pin()
    assert focus.pinned == ()
    focus.ask("logits", vocab=1)
    focus.pin()
    focus.pin()
    focus.ask("logits", vocab=2)
    focus.pin()
    assert [question.index["vocab"] for question in focus.pinned] == [1, 2]
    focus.unpin(0)
    focus.unpin(7)
    assert [question.index["vocab"] for question in focus.pinned] == [2]


def test_a_question_fits_while_its_tokens_are_there() -> None:
    assert Question("blocks.0.scores", {"head": 9, "query": 4, "key": 1}).fits(5)
    assert not Question("blocks.0.scores", {"head": 9, "query": 4, "key": 1}).fits(4)
