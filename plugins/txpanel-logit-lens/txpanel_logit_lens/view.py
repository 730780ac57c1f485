"""The view: one row per depth, likeliest token first, and the rise of the final token beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import panel as pn
import param
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d
from bokeh.plotting import figure

from txpanel import View
from txpanel.messages import again, of_package
from txpanel.models.tokens import alone, visible
from txpanel.toolkit.card import Rich, card, flow, rich
from txpanel.toolkit.palette import Scale, colour
from txpanel_logit_lens.lens import Lens, lens

SCALE = Scale.of("probability")
_ = of_package("txpanel_logit_lens", Path(__file__).parent / "locales")
SAY = _(
    "Which token would come next if the model ended early? Each row applies the model's own final normalisation and "
    "unembedding to the residual stream after one block. The last row is the model's prediction; in early rows the "
    "normalisation was not trained for its input."
)


class LogitLensView(View):
    """Most likely next tokens after every block, at the chosen position."""

    id: ClassVar[str] = "logit-lens"
    title: ClassVar[str] = _("Logit lens")
    order: ClassVar[int] = 45
    requires: ClassVar[frozenset[str]] = frozenset({"resid_post", "ln_final", "logits"})
    api_version: ClassVar[int] = 1

    top = param.Integer(default=5, bounds=(1, 10), doc="How many tokens to show in each row.")

    def __init__(self, state: Any, **params: Any) -> None:
        super().__init__(state, **params)
        self.cells = ColumnDataSource(
            {name: [] for name in ("x", "y", "token", "p", "percent", "fill", "ink", "depth", "id")}
        )
        self.rise = ColumnDataSource({name: [] for name in ("y", "p", "rank", "bits", "depth")})
        self._heading = Rich(paragraphs=[], look="small", sizing_mode="stretch_width")
        self._table = self._table_figure()
        self._rise = self._rise_figure()
        self._lens: Lens | None = None

    def __panel__(self) -> pn.viewable.Viewable:
        """Build once; `_show` only feeds the two sources."""
        self.follow(self._show, "trace", "query")
        self.param.watch(lambda event: self._show(), ["top", "dark"])
        pictures = flow(  # on a phone the rise stands below the table
            pn.Column(
                pn.pane.Bokeh(self._table, sizing_mode="stretch_width"),
                styles={"flex": "5 1 290px", "min-width": "0"},
            ),
            pn.Column(
                pn.pane.Bokeh(self._rise, sizing_mode="stretch_width"),
                styles={"flex": "1 1 220px", "min-width": "0"},
            ),
            gap="12px",
            sizing_mode="stretch_width",
        )
        shown = pn.Column(self._heading, pictures, sizing_mode="stretch_width", margin=0)
        return card("", rich(again(SAY)), shown)  # words beside what they explain

    def _table_figure(self) -> figure:
        plot = figure(
            tools="",
            toolbar_location=None,
            x_axis_location="above",
            x_axis_label=_("most likely first"),
            sizing_mode="stretch_width",
        )
        cells = plot.rect("x", "y", 0.96, 0.92, source=self.cells, fill_color="fill", line_color=None)
        plot.text(
            "x",
            "y",
            "token",
            source=self.cells,
            text_color="ink",
            text_align="center",
            text_baseline="middle",
            text_font_size="12px",
        )
        tips = [
            (_("token"), "@token (ID @id)"),
            (_("probability"), "@p{0.000000}"),
            (_("after"), "@depth"),
            (_("tensor"), "trace.lens"),
        ]
        plot.add_tools(HoverTool(renderers=[cells], tooltips=tips))
        plot.on_event(Tap, self._tapped)
        plot.grid.visible = False
        return plot

    def _rise_figure(self) -> figure:
        plot = figure(tools="", toolbar_location=None, x_axis_location="above", y_range=self._table.y_range)
        plot.x_range = Range1d(0, 1)
        line = plot.line("p", "y", source=self.rise, line_color=colour("focus"), line_width=2)
        dots = plot.scatter("p", "y", source=self.rise, color=colour("focus"), size=7)
        tips = [
            (_("probability"), "@p{0.000000}"),
            (_("rank"), "@rank"),
            (_("entropy in bits"), "@bits{0.00}"),
            (_("after"), "@depth"),
        ]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        plot.yaxis.visible = False
        line.level = "underlay"
        return plot

    def _show(self) -> None:
        trace = self.state.trace
        if trace is None:
            return
        self._lens = found = lens(trace, self.state.query, self.top)
        names = [self._name(layer, trace.anatomy.n_layers) for layer in range(len(found.ids))]
        self._fit(names)
        self.cells.data = self._cells(found, names)
        self.rise.data = {
            "y": np.arange(len(names)), "p": found.final, "rank": found.rank + 1, "bits": found.entropy, "depth": names
        }  # fmt: skip
        winner = trace.model.tokens([int(found.ids[-1, 0])]).strings[0]
        at = trace.tokens.strings[found.position]
        said = _("After “{at}” (position {n}); the line: probability of “{winner}”, the model's most likely token")
        said = said.format(at=visible(at), n=found.position + 1, winner=visible(winner))
        self._heading.paragraphs = [[("", said)]]  # data, never markup

    @staticmethod
    def _name(layer: int, layers: int) -> str:
        if layer == 0:
            return _("embedding")
        return (_("block {n} (the model)") if layer == layers else _("block {n}")).format(
            n=layer
        )  # the page counts blocks from 1

    def _fit(self, names: list[str]) -> None:
        rows = len(names)
        height = 26 * rows + 60
        for plot in (self._table, self._rise):
            plot.height = height
            plot.yaxis.ticker = FixedTicker(ticks=list(range(rows)))
        self._table.yaxis.major_label_overrides = dict(enumerate(names))
        self._table.y_range.update(start=rows - 0.5, end=-0.5)
        self._table.x_range.update(start=0.5, end=self.top + 0.5)
        self._table.xaxis.ticker = FixedTicker(ticks=list(range(1, self.top + 1)))

    def _cells(self, found: Lens, names: list[str]) -> dict[str, Any]:
        rows, top = found.ids.shape
        p = found.probabilities.ravel()
        scale = SCALE.themed(self.dark)
        ids = found.ids.ravel()
        return {
            "x": np.tile(np.arange(1, top + 1), rows),
            "y": np.repeat(np.arange(rows), top),
            "id": ids,
            "token": [alone(text) for text in self.state.trace.model.tokens([int(i) for i in ids]).strings],
            "p": p,
            "percent": [f"{value:.1%}" for value in p],
            "fill": [scale.hex(value) for value in p],
            "ink": [scale.ink(value) for value in p],
            "depth": [names[row] for row in np.repeat(np.arange(rows), top)],
        }

    def _tapped(self, event: Tap) -> None:
        """A click on a cell asks where its probability comes from, and makes the row's block the chosen one everywhere."""
        row, place, found = int(np.floor(event.y + 0.5)), int(np.floor(event.x + 0.5)) - 1, self._lens
        if found is None or not (0 <= row < len(found.ids) and 0 <= place < self.top):
            return
        if row:
            self.state.focus(layer=row - 1)
        name = self.state.trace.lens_name(row, found.position, "probs")
        self.state.ask(name, vocab=int(found.ids[row, place]))
