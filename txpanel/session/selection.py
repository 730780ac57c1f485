"""What is in focus: block, head, query, key and neuron; and the questions asked about numbers, in the order in which they were asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import param

from txpanel.session.history import History

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace

PLACES = ("layer", "head", "query", "key", "neuron")  # layer first: it decides how many heads and neurons there are
TOKEN_AXES = ("token", "query", "key")
TOKEN_NAMED = re.compile(r"^(?:lens\.\d+|surprisal)\.(\d+)")
"""The token's index in names of tensors that exist once for each token, such as ``lens.3.7.probs``."""


@dataclass(frozen=True)
class Question:
    """Why is this number what it is? A tensor of the trace and a cell of it, as `Trace.why` takes them."""

    name: str
    index: Mapping[str, int] = field(default_factory=dict)
    cause: bool = field(default=False, compare=False)
    """Whether it was asked about an operand of the question before: then it goes on the same path."""

    def fits(self, tokens: int, read: int = 0) -> bool:
        """Whether the cell exists in a run of so many tokens; `read`: tokens of the source, where an encoder has read one."""
        from txpanel.tracing.names import of_source  # late: it brings torch, and the page is painted before

        named = [int(token) for token in TOKEN_NAMED.findall(self.name)]
        rooms = {axis: read if of_source(self.name, axis) else tokens for axis in TOKEN_AXES}
        return all(token < tokens for token in named) and all(self.index.get(axis, 0) < n for axis, n in rooms.items())


class Place(param.Integer[int]):
    """A whole number that is clamped to the trace whenever it is set, so that it is never outside of it."""

    def __set__(self, obj: Any, val: Any) -> None:
        super().__set__(obj, obj.inside(self.name, int(val)) if obj is not None else val)


class Selection(param.Parameterized):
    """The part of `ModelState` that says where to look and what is asked; it knows a trace, and not how traces come to be."""

    trace = param.Parameter(None, allow_refs=False, doc="The run shown, a `Trace`: one event for each run.")
    layer = Place(0, bounds=(0, None), doc="Block in focus.")
    head = Place(0, bounds=(0, None), doc="Query head in focus.")
    query = Place(0, bounds=(0, None), doc="Token whose query is in focus; at first the last one, or a gap.")
    key = Place(0, bounds=(0, None), doc="Token whose key is in focus.")
    neuron = Place(0, bounds=(0, None), doc="Neuron of the MLP in focus.")
    question = param.ClassSelector(class_=Question, doc="What the 'why this number' card shows.")
    pinned = param.ClassSelector(class_=tuple, default=(), doc="Questions pinned beside it.")
    can_go_back = param.Boolean(False, doc="Whether `back` has somewhere to go.")
    can_go_forward = param.Boolean(False, doc="Whether `forward` has somewhere to go.")

    def __init__(self, **params: Any) -> None:
        self._trail: History[Question] = History()
        self._query_chosen = "query" in params  # given when the state was made, before there was a run
        super().__init__(**params)

    @property
    def trail(self) -> tuple[Question, ...]:
        """The questions that `back` and `forward` walk through, oldest first; empty while nothing is asked."""
        return tuple(self._trail.entries)

    @property
    def path(self) -> tuple[Question, ...]:
        """The questions from the number that was clicked to the current one: each is about an operand of the one before."""
        found = list(self.trail[: self.trail_place + 1])
        begins = max((i for i, question in enumerate(found) if not question.cause), default=0)
        return tuple(found[begins:])

    @property
    def trail_place(self) -> int:
        """Index of `question` in `trail`; -1 while nothing is asked."""
        return self._trail.place

    def focus(self, **places: int) -> None:
        """Look elsewhere: any of layer, head, query, key, neuron. Clamped to the trace; one event for all of them."""
        unknown = sorted(set(places) - set(PLACES))
        if unknown:
            raise TypeError(f"focus takes {', '.join(PLACES)}, not {', '.join(unknown)}")
        self.param.update(**{name: places.get(name, getattr(self, name)) for name in PLACES})

    def inside(self, place: str, value: int) -> int:
        """The nearest value that a place can have in this trace."""
        if self.trace is None:
            return max(0, value)
        anatomy = self.trace.anatomy
        if place == "layer":
            size = anatomy.n_layers
        elif place in ("query", "key"):
            size = len(self.trace.tokens.ids)
        else:
            block = anatomy.blocks[min(self.layer, anatomy.n_layers - 1)]
            size = block.n_heads if place == "head" else block.n_neurons
        return int(min(max(0, value), max(0, size - 1)))

    def ask(self, name: str, **index: int) -> None:
        """Ask why a number is what it is: a tensor's name and the cell, as `Trace.why` takes them. A new path begins."""
        self._ask(name, index, cause=False)

    def ask_cause(self, name: str, **index: int) -> None:
        """Ask about an operand of the number in question: the path to it goes on."""
        self._ask(name, index, cause=True)

    def _ask(self, name: str, index: Mapping[str, int], *, cause: bool) -> None:
        self._trail.add(Question(name, {axis: int(place) for axis, place in index.items()}, cause))
        self._show_question()

    def back(self, steps: int = 1) -> None:
        """Return to the question before, or several back; one event."""
        for _step in range(min(steps, self._trail.place)):
            self._trail.back()
        self._show_question()

    def forward(self) -> None:
        """Go on to the question from which `back` came."""
        self._trail.forward()
        self._show_question()

    def dismiss(self) -> None:
        """Close the card: no question, and no trail."""
        self._trail.clear()
        self._show_question()

    def pin(self) -> None:
        """Keep the current question beside the next ones."""
        if self.question is not None and self.question not in self.pinned:
            self.pinned = (*self.pinned, self.question)

    def unpin(self, i: int) -> None:
        """Take the pinned question number ``i`` away."""
        self.pinned = tuple(question for n, question in enumerate(self.pinned) if n != i)

    def _forget_questions(self) -> dict[str, Any]:
        """Forget the trail; the changes that follow."""
        self._trail.clear()
        return {"question": None, "pinned": (), "can_go_back": False, "can_go_forward": False}

    def _places_in(self, trace: Trace, before: Trace | None) -> dict[str, int]:
        """The focus in a new trace: as before; but a query at the position that predicts (the last token, a gap) moves to that of the new trace."""
        places = {name: getattr(self, name) for name in PLACES}
        follows = not self._query_chosen if before is None else self.query == before.answer
        self._query_chosen = False
        return places | {"query": trace.answer} if follows else places

    def _show_question(self) -> None:
        trail = self._trail
        self.param.update(question=trail.current, can_go_back=trail.can_go_back, can_go_forward=trail.can_go_forward)

    @param.depends("layer", watch=True)
    def _layer_moved(self) -> None:
        self.focus()  # the new block may have fewer heads or neurons
