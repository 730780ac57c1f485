"""All heads of a block as one picture; a click chooses one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, Rect

from txpanel.messages import _
from txpanel.session.worker import Dispatch
from txpanel.toolkit.card import Legend, Rich, Table, card, picture, provenance
from txpanel.toolkit.figure_code import CODES
from txpanel.toolkit.format import percent
from txpanel.toolkit.heatmap import Axis, Heatmap
from txpanel.toolkit.labels import Words, mark
from txpanel.toolkit.palette import Scale, colour
from txpanel.toolkit.rendering import sized
from txpanel.views.attention.data import Look
from txpanel.views.attention.mosaic import Heads, Mosaic, heads, mosaic
from txpanel.views.attention.words import heads_words, short_label
from txpanel.views.background import background
from txpanel.views.heads import cell_of, strongest

__all__ = ["AllHeads"]

MANY = 2_000_000
"""Attention weights of all heads together that are pooled on the page's thread; for more of them a thread of its own does it."""

LEAST = 64
"""Pixels that a head and the words below it need."""


class AllHeads:
    """The mosaic of a block's heads.

    Attributes:
        panel: the card. heat: the picture. heads, mosaic: what it shows.
    """

    def __init__(self, view: Any) -> None:
        self.view = view
        self._worker = background(waited_for=True)
        self.heads: Heads | None = None
        self.mosaic: Mosaic | None = None
        self.heat = Heatmap(
            view, "probability", "row", "column", tap=self._tap, gaps=False, hover=(_("head"), _("weight"), _("tensor"))
        )
        self.heat.cell.code = CODES["mosaic-words"].text
        self.heat.place.code = CODES["mosaic-name"].text
        self.boxes = ColumnDataSource({"x": [], "y": [], "w": [], "h": [], "line": [], "width": []})
        frames = {"line_color": "line", "line_width": "width", "fill_alpha": 0, "border_radius": 4}
        mark(self.heat.figure, Rect(x="x", y="y", width="w", height="h", **frames), self.boxes)
        style = {"text_align": "center", "text_baseline": "top", "text_font_size": "11px", "y_offset": 5}
        self.names = Words(self.heat.figure, **style)
        self.words = Rich(heading=_("All heads"), paragraphs=[])
        self.legend = Legend(caption=_("attention weight"))
        self.picture = picture(
            _("Attention patterns of all heads"),
            _("in each: who looks (query) ↓, at whom (key) →"),
            pn.pane.Bokeh(self.heat.figure, sizing_mode="stretch_width", margin=0),
            legend=self.legend,
            table=self.table,
            name="heads",
            source=lambda: provenance(view.state, f"blocks.{view.state.layer}.pattern"),
        )
        self.panel = card("", self.words, self.picture)
        view.watch(view, lambda _event: self.mark(), "dark")

    def feed(self, look: Look) -> None:
        """Another run or block. The heads of a long text are computed in a thread, since all pages of the server would wait for them."""
        self._worker.cancel()
        if look.trace.anatomy.blocks[look.layer].n_heads * look.total**2 <= MANY:
            self._show(look, heads(look.trace, look.layer))
            return
        self.heads = self.mosaic = None  # those of another block
        self.picture.visible = False
        self.words.paragraphs = [[("", _("The text is long: its attention patterns are being computed …"))]]

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            def found(made: Heads) -> None:
                if self.view.state is not None:
                    self.view._guarded(lambda: self._show(look, made))

            made = heads(look.trace, look.layer, cancel=cancel)
            publish(lambda: found(made))

        self._worker.submit(job)

    def close(self) -> None:
        """Cancels what is being computed."""
        self._worker.cancel()

    def _show(self, look: Look, made: Heads) -> None:
        block = look.trace.anatomy.blocks[look.layer]
        self.heads, self.picture.visible = made, True
        self.mosaic = mosaic(self.heads.maps, block.group)
        rows, columns = self.mosaic.values.shape
        self.heat.feed(
            self.mosaic.values,
            Axis([""] * rows),
            Axis([""] * columns),
            scale=Scale("probability", 0, 1),
            room=(0, 0),
            at=partial(self._at, f"blocks.{look.layer}.pattern", look.total),
        )
        edge = 0.12 * self.mosaic.side
        self.heat.figure.x_range.update(start=-0.5 - edge, end=columns - 0.5 + edge)
        self.heat.figure.y_range.update(start=rows - 0.5, end=-0.5 - edge)
        tops, lefts = zip(*self.mosaic.corners, strict=True)
        names = [
            _("head {n} · {what}").format(n=i + 1, what=f"{short_label(label) or _('mixed')} {percent(share)}")
            for i, (label, share) in enumerate(zip(self.heads.labels, self.heads.shares, strict=True))
        ]
        place = {"tops": list(tops), "lefts": list(lefts), "side": self.mosaic.side}
        self.heat.cell.args = {**place, "heads": names}
        self.heat.place.args = {
            **place,
            "step": self.heads.step,
            "total": look.total,
            "name": f"blocks.{look.layer}.pattern[{{h}}, {{r}}, {{c}}]",
        }
        width, height = round(columns * self.mosaic.cell), round(rows * self.mosaic.cell)
        sized(self.picture, self.heat.figure, max(280, width), height)
        across = len({left for _top, left in self.mosaic.corners})
        least = max(280, min(width, LEAST * across))  # on a phone it is moved, not squeezed further
        self.heat.figure.min_width = self.picture.plot.min_width = least
        self.picture.styles = {**self.picture.styles, "overflow-x": "auto"}
        self.words.paragraphs = heads_words(look)
        self.legend.show(self.heat.scale)
        said = _("click a head to open it, then a cell to see how its number was computed")
        if self.heads.step > 1:
            said = _(
                "each cell shows the largest of up to {n} × {n} weights; click a head to open it, then a cell to see how "
                "its number was computed"
            )
            said = said.format(n=self.heads.step)
        self.picture.heading.paragraphs = [[("", said)]]
        self.picture.tools.changed()
        self.mark()

    def mark(self) -> None:
        """Frames every thumbnail, the chosen one in the colour of focus."""
        if self.mosaic is None or self.heads is None or self.view.state is None:
            return
        chosen, side, dark = self.view.state.head, self.mosaic.side, self.view.dark
        tops, lefts = (np.asarray(x, np.float64) for x in zip(*self.mosaic.corners, strict=True))
        count, pad = len(tops), 0.08 * side
        here = [head == chosen for head in range(count)]
        self.boxes.data = {
            "x": (lefts + (side - 1) / 2).tolist(),
            "y": (tops + (side - 1) / 2).tolist(),
            "w": [side + pad] * count,
            "h": [side + pad] * count,
            "line": [colour("focus" if mark else "border", dark=dark) for mark in here],
            "width": [2.5 if mark else 1.0 for mark in here],
        }
        self.names.feed(
            list(lefts + (side - 1) / 2),
            list(tops + side - 0.5 + pad / 2),
            [f"{head + 1}\n{short_label(label)}" for head, label in enumerate(self.heads.labels)],
            [colour("focus-ink" if mark else "muted", dark=dark) for mark in here],
        )

    def _at(self, tensor: str, total: int, name: str, index: Mapping[str, int]) -> tuple[int, int] | None:
        if name != tensor or self.mosaic is None:
            return None
        top, left = self.mosaic.corners[index["head"]]
        side = self.mosaic.side
        return top + cell_of(index["query"], total, side), left + cell_of(index["key"], total, side)

    def _tap(self, row: int, column: int) -> None:
        """The first click opens a head; a click on a cell of the head that is open asks for the weight in it."""
        head = self.mosaic.at(row, column) if self.mosaic else None
        if head is None or self.mosaic is None:
            return
        state, (top, left), side = self.view.state, self.mosaic.corners[head], self.mosaic.side
        if head != state.head:
            state.focus(head=head)
        elif row < top + side:
            place = strongest(state.trace.head_map(state.layer, head), row - top, column - left, side)
            if place is not None:
                state.focus(query=place[0], key=place[1])
                state.ask(f"blocks.{state.layer}.pattern", head=head, query=place[0], key=place[1])

    def table(self) -> Table:
        """Each head's label and how clear it is."""
        assert self.heads is not None
        block = self.view.state.trace.anatomy.blocks[self.view.state.layer]
        count = len(self.heads.labels)
        return Table.of(
            _("what each head does on this text"),
            **{
                _("head"): list(range(count)),
                _("key/value head"): [h * block.n_kv_heads // block.n_heads for h in range(count)],
                _("attends to"): list(self.heads.labels),
                _("score"): list(self.heads.shares),
            },
        )
