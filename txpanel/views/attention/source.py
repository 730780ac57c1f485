"""Cross-attention: to which tokens of the source each token of the decoder attends, for one head."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource

from txpanel.messages import _
from txpanel.toolkit.card import Legend, Rich, Table, card, rich, row
from txpanel.toolkit.format import percent
from txpanel.toolkit.heatmap import Axis, Heatmap
from txpanel.toolkit.highlights import Cells
from txpanel.toolkit.labels import put
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.rendering import sized
from txpanel.views.attention.data import cut
from txpanel.views.attention.head_picture import head_picture
from txpanel.views.attention.words import titles

__all__ = ["SourceCard"]

STAGES = ("cross_scores", "cross_pattern")


class SourceCard:
    """The pictures of a block's cross-attention, for the head in focus; hidden where there is none.

    Attributes:
        panel: the card. heats: stage -> `Heatmap`. values: stage -> float32 [T, S] (decoder's token, source's token). head: which one is shown.
    """

    def __init__(self, view: Any) -> None:
        self.view = view
        self.head = 0
        self.heats: dict[str, Heatmap] = {}
        self.pictures: dict[str, Any] = {}
        self.legend: dict[str, Legend] = {}
        self.values: dict[str, np.ndarray] = {}
        self.chosen = ColumnDataSource({"query": [0]})
        self.words = Rich(heading=" ", paragraphs=[])
        self.panel = pn.Column(visible=False, sizing_mode="stretch_width", margin=0)

    def feed(self) -> None:
        """Another run, block, head or token."""
        state = self.view.state
        trace, layer = state.trace, state.layer
        block = trace.anatomy.blocks[layer]
        self.panel.visible = block.cross_there
        if not block.cross_there or trace.source is None:
            return
        if not self.heats:  # few models have cross-attention: for the others no picture is built
            for part in STAGES:
                self._picture(part)
            self.panel[:] = [card("", self.words, row(*self.pictures.values()))]
        self.words.heading = _("Cross-attention, block {block}").format(block=layer + 1)
        if block.cross is None:
            reason = block.opaque["cross"]
            said = _(
                "The cross-attention of this block is <b>not opened</b>: it is run as a whole.\n\n"
                "<muted>Reason: {reason}</muted>"
            )
            self.words.paragraphs = rich(said, reason=reason)
            for each in self.pictures.values():
                each.visible = False
            return
        self.head = min(state.head, block.cross.n_heads - 1)
        self.words.heading = _("Cross-attention, block {block}, head {head}").format(
            block=layer + 1, head=self.head + 1
        )
        self.words.paragraphs = self._said(trace, layer)
        rows, columns = cut(len(trace.tokens), state.query), cut(len(trace.source.tokens), 0)
        put(self.chosen, {"query": [state.query]})
        for part, heat in self.heats.items():
            name = f"blocks.{layer}.{part}"
            values = self.values[part] = np.asarray(
                trace.rows(name, slice(0, len(trace.tokens)), self.head).numpy(), np.float32
            )
            heat.feed(
                values[rows.slice, columns.slice],
                Axis(trace.tokens.strings[rows.slice], rows.start),
                Axis(trace.source.tokens.strings[columns.slice], columns.start),
                scale=Scale.of("probability") if part == "cross_pattern" else Scale.of("signed", values),
                name=f"{name}[{self.head}, {{r}}, {{c}}]",
                cell=_("{r} attends to {c}"),
                at=Cells(name, "query", "key", {"head": self.head}),
            )
            self._frame(heat, columns.start, columns.stop)
            shown = self.pictures[part]
            shown.visible = True
            shown.heading.param.update(**self._title(part, columns.whole, columns.stop, columns.total))
            side = max(180, min(380, 46 * (columns.stop - columns.start)))
            sized(shown, heat.figure, side + 92, max(120, min(side, 46 * (rows.stop - rows.start))) + 56)
            self.legend[part].show(heat.scale)
            shown.tools.changed()

    def _said(self, trace: Any, layer: int) -> Any:
        weights = trace.rows(
            f"blocks.{layer}.cross_pattern", slice(self.view.state.query, self.view.state.query + 1), self.head
        )[0]
        best = int(weights.argmax())
        said = _(
            "For each token of the decoder, the head compares a <q>query</q> with the <k>keys</k> of the "
            "<b>source</b>, the text that the encoder has read: <code>{source}</code>. Keys and values are computed "
            "from the encoder's output.\n\n"
            "<token>{token}</token> attends most to <token>{key}</token>: attention weight {share}."
        )
        source = trace.source.text
        if trace.source.kind != "text":
            said = _(
                "For each token of the decoder, the head compares a <q>query</q> with the <k>keys</k> of the "
                "<b>source</b>: one for each vector that the encoder has made of what it was given. Keys and values are computed "
                "from the encoder's output.\n\n"
                "<token>{token}</token> attends most to <token>{key}</token>: attention weight {share}."
            )
        return rich(
            said,
            source=source if len(source) <= 200 else f"{source[:200]}…",
            token=trace.tokens.strings[self.view.state.query],
            key=trace.source.tokens.strings[best],
            share=percent(float(weights[best])),
        )

    def _title(self, part: str, whole: bool, stop: int, total: int) -> dict[str, Any]:
        title, said = {
            "cross_scores": (_("Scores"), _("how well each query matches each key of the source")),
            "cross_pattern": (_("Pattern"), _("softmax of the scores: each row adds up to 1")),
        }[part]
        said += "" if whole else " · " + _("the first {n} of {total} tokens of the source").format(n=stop, total=total)
        return {"heading": title, "paragraphs": [[("", said)]]}

    def _picture(self, part: str) -> None:
        heat = Heatmap(
            self.view,
            "probability" if part == "cross_pattern" else "signed",
            "query",
            "key",
            tap=lambda query, key: self._tap(part, query, key),
            inks=("query-ink", "key-ink"),
            hover=("", _("value"), _("tensor")),
            titles=titles(),
        )
        self.legend[part] = Legend()
        self.heats[part] = heat
        self.pictures[part] = head_picture(
            self.view.state, part, heat, self.legend[part], lambda: self.table(part), lambda: self.head
        )

    def _frame(self, heat: Heatmap, start: int, stop: int) -> None:
        """The chosen token's row."""
        if not heat.frames:
            heat.outline(self.chosen, "focus", x=0, y="query")
        heat.frames[0][0].glyph.update(x=(start + stop - 1) / 2, width=stop - start)

    def _tap(self, part: str, query: int, key: int) -> None:
        state = self.view.state
        state.focus(query=query)
        state.ask(f"blocks.{state.layer}.{part}", head=self.head, query=query, key=key)

    def table(self, part: str) -> Table:
        """A stage's numbers, all rows and columns."""
        trace = self.view.state.trace
        rows = [f"{i} {s}" for i, s in enumerate(trace.tokens.strings)]
        columns = [f"{i} {s}" for i, s in enumerate(trace.source.tokens.strings)]
        return Table.matrix(
            self.values[part],
            rows,
            columns,
            corner=_("query / key"),
            caption=self.pictures[part].heading.heading,
        )
