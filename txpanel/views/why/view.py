"""The "why this number" card: follows `state.question`, and keeps pinned questions beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param

from txpanel.toolkit.explained import SHOWN
from txpanel.toolkit.incoming import heard
from txpanel.views.base import View
from txpanel.views.why.component import PINNED, WhyCards
from txpanel.views.why.data import MORE, card, closed, fed_index, product
from txpanel.views.why.words import short

Crumbs = list[dict[str, str]]
TRAIL = 6
"""Questions in the breadcrumb, the newest last."""


class WhyCard(View):
    """Where a number comes from: formula, operands down to weights and token ids, and the sum that has to agree.

    It is not one of the page's views but beside all of them: it shows what is asked with `ModelState.ask`.
    """

    id, title, order, first = "why", "Why this number", 90, True

    shown = param.Integer(
        default=SHOWN, bounds=(1, None), doc="Operands of the current card that are listed one by one."
    )

    def __init__(self, state: Any, **params: Any) -> None:
        super().__init__(state, **params)
        self._explained: list[Any] = []  # the Explanation of each card on screen, the current one first
        self._more = {0: self.shown}

    def __panel__(self) -> pn.viewable.Viewable:
        self.cards = WhyCards(on_message=self._on_message)
        self.follow(self._asked, "question", empty=self._clear)
        self.follow(self._draw, "trace", "pinned", empty=self._clear)
        return self.cards

    def _asked(self) -> None:
        """Another question: its operands are listed from the start."""
        self._more[0] = self.shown
        self._draw()

    def _clear(self) -> None:
        self._explained = []
        self.cards.param.update(cards=[], vectors=np.zeros(0, np.float32), version=self.cards.version + 1)

    def _draw(self) -> None:
        questions = [q for q in (self.state.question, *self.state.pinned[:PINNED]) if q is not None]
        if self.state.question is None or self.state.trace is None:
            return self._clear()
        cards, vectors, explained, start = [], [np.zeros(0, np.float32)], [], 0
        for i, question in enumerate(questions):
            made, arrays, found = card(
                self.state.trace, question.name, question.index, shown=self._more.get(i, self.shown), start=start
            )
            start += sum(len(a) for a in arrays)
            cards.append(made)
            vectors += arrays
            explained.append(found)
        cards[0] |= {
            "crumbs": self._crumbs(), "back": self.state.can_go_back, "forward": self.state.can_go_forward,
            "can_pin": len(self.state.pinned) < PINNED and self.state.question not in self.state.pinned,
        }  # fmt: skip
        self._explained = explained
        self.cards.param.update(cards=cards, vectors=np.concatenate(vectors), version=self.cards.version + 1)
        return None

    def _crumbs(self) -> Crumbs:
        path = self.state.path[-TRAIL:]
        return [{"label": short(q.name), "title": f"{q.name}[{', '.join(map(str, q.index.values()))}]"} for q in path]

    # -- what a person did -----------------------------------------------------------------------------------------

    @heard
    def _on_message(self, data: dict[str, Any]) -> None:
        do, i = data.get("do"), _whole(data.get("card", 0))
        act = {
            "ask": self._operand,
            "cell": self._cell,
            "feed": self._feed,
            "more": self._show_more,
            "input": self._input,
        }.get(str(do))
        if act is not None and 0 <= i < len(self._explained) and self._explained[i] is not None:
            act(i, data)
        elif do == "back":
            self.state.back()
        elif do == "forward":
            self.state.forward()
        elif do == "close":
            self.state.dismiss()
        elif do == "crumb":
            self.state.back(max(0, _whole(data.get("steps"))))
        elif do == "pin" and len(self.state.pinned) < PINNED:
            self.state.pin()
        elif do == "unpin":
            self._more = {0: self._more[0]}
            self.state.unpin(_whole(data.get("at")))

    def _operand(self, i: int, data: dict[str, Any]) -> None:
        terms = self._explained[i].terms
        at, j = _whole(data.get("term")), _whole(data.get("source"))
        if 0 <= at < len(terms) and 0 <= j < len(terms[at].sources):
            source = terms[at].sources[j]
            self.state.ask_cause(source.name, **source.index)

    def _input(self, i: int, data: dict[str, Any]) -> None:
        """An input of a part that is not opened."""
        found, at = closed(self.state.trace, self._explained[i]), _whole(data.get("at"))
        if found is not None and 0 <= at < len(found["inputs"]):
            one = found["inputs"][at]
            self.state.ask_cause(one["name"], **one["at"])

    def _cell(self, i: int, data: dict[str, Any]) -> None:
        found = product(self._explained[i])
        at, which = _whole(data.get("index")), int(data.get("part") == "column")
        if found is not None and 0 <= at < len(found["cells"]):
            source = found["cells"][at][which]
            self.state.ask_cause(source.name, **source.index)

    def _feed(self, i: int, data: dict[str, Any]) -> None:
        found, at = self._explained[i], _whole(data.get("at"))
        if 0 <= at < len(found.feeds):
            name = found.feeds[at]
            focus = {
                "head": self.state.head,
                "query": self.state.query,
                "key": self.state.key,
                "token": self.state.query,
                "neuron": self.state.neuron,
            }
            self.state.ask(name, **fed_index(self.state.trace, name, found.index, focus))

    def _show_more(self, i: int, data: dict[str, Any]) -> None:
        self._more[i] = self._more.get(i, self.shown) + MORE
        self._draw()


def _whole(value: Any) -> int:
    """A whole number from the browser, -1 for anything else."""
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool)
        else int(value)
        if isinstance(value, float) and value.is_integer()
        else -1
    )
