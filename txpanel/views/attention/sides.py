"""One row and one column of the pattern as bars: to which tokens a query attends, and which attend to a key."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn

from txpanel.messages import _
from txpanel.toolkit.bars import Bars
from txpanel.toolkit.card import Table, picture, provenance
from txpanel.toolkit.format import number, percent
from txpanel.toolkit.rendering import sized
from txpanel.views.attention.data import Look, Ranking, ranking
from txpanel.views.attention.words import quoted

__all__ = ["Sides"]

BAR = 24
"""Pixels that a bar takes, with the room around it."""


class Sides:
    """The chosen query's row and the chosen key's column of the pattern.

    Attributes:
        left, right: their pictures. look_at, looked_at: their `Bars`. row, column: what they show.
    """

    def __init__(self, view: Any) -> None:
        self.view = view
        hover = (_("token"), _("weight"), _("tensor"))
        self.row: Ranking | None = None
        self.column: Ranking | None = None
        self.look_at = Bars(view, "focus-mid", ink="key-ink", tap=lambda i: self._tap("row", i), hover=hover)
        self.looked_at = Bars(view, "focus-mid", ink="query-ink", tap=lambda i: self._tap("column", i), hover=hover)
        source = lambda: provenance(view.state, f"blocks.{view.state.layer}.pattern[{view.state.head}]")  # noqa: E731
        self.left = picture(
            " ",
            "",
            pn.pane.Bokeh(self.look_at.figure, sizing_mode="stretch_width", margin=0),
            table=lambda: self.table("row"),
            name="where-it-looks",
            source=source,
        )
        self.right = picture(
            " ",
            "",
            pn.pane.Bokeh(self.looked_at.figure, sizing_mode="stretch_width", margin=0),
            table=lambda: self.table("column"),
            name="who-looks",
            source=source,
        )

    def feed(self, look: Look, query: int, key: int) -> None:
        """Another cell, head, block or run."""
        self.row, self.column = ranking(look.pattern[query]), ranking(look.pattern[:, key])
        strings = look.trace.tokens.strings
        top, total = (
            float(look.trace.rows(f"blocks.{look.layer}.pattern.{part}", slice(query, query + 1), look.head)[0])
            for part in ("max", "sum")
        )
        self._bars(
            self.look_at,
            self.left,
            self.row,
            strings,
            key,
            [f"blocks.{look.layer}.pattern[{look.head}, {query}, {i}]" for i in self.row.places],
        )
        self._bars(
            self.looked_at,
            self.right,
            self.column,
            strings,
            query,
            [f"blocks.{look.layer}.pattern[{look.head}, {i}, {key}]" for i in self.column.places],
        )
        said = _("row of the attention pattern: e^(score − {max}) ÷ {sum}").format(max=number(top), sum=number(total))
        self.left.heading.param.update(
            heading=_("Which tokens does {token} attend to?").format(token=quoted(strings[query])),
            paragraphs=[[("", said)]],
        )
        self.right.heading.param.update(
            heading=_("Which tokens attend to {token}?").format(token=quoted(strings[key])),
            paragraphs=[[("", _("column of the attention pattern; a column need not add up to 1"))]],
        )

    def _bars(
        self, bars: Bars, column: Any, shown: Ranking, strings: list[str], chosen: int, tensors: list[str]
    ) -> None:
        names, values = [strings[i] for i in shown.places], [float(v) for v in shown.values]
        texts = [percent(v) for v in values]
        if shown.others:
            names, values = [*names, _("{n} others").format(n=shown.others)], [*values, shown.rest]
            texts, tensors = [*texts, percent(shown.rest)], [*tensors, _("sum of the others")]
        place = shown.places.index(chosen) if chosen in shown.places else None
        bars.feed(
            names,
            values,
            texts,
            tensors=tensors,
            chosen=place,
            others=len(names) - 1 if shown.others else None,
            low=0.0,
            high=max([*values, 1e-9]),
        )
        sized(column, bars.figure, 420, BAR * len(names) + 8)
        column.tools.changed()

    def _tap(self, side: str, place: int) -> None:
        shown, state = (self.row if side == "row" else self.column), self.view.state
        if shown is None or place >= len(shown.places):
            return
        query, key = (state.query, shown.places[place]) if side == "row" else (shown.places[place], state.key)
        state.focus(query=query, key=key)
        state.ask(f"blocks.{state.layer}.pattern", head=state.head, query=query, key=key)

    def table(self, side: str) -> Table:
        """The whole row or column, not only the bars."""
        state = self.view.state
        pattern = self.view.look.pattern
        weights = pattern[state.query] if side == "row" else pattern[:, state.key]
        seen = np.flatnonzero(np.isfinite(weights))
        strings = state.trace.tokens.strings
        return Table.of(
            (self.left if side == "row" else self.right).heading.heading,
            **{
                _("position"): seen.tolist(),
                _("token"): [strings[i] for i in seen],
                _("weight"): weights[seen].tolist(),
            },
        )
