"""Embedding: from the tokenizer's pieces to the vector that enters the first block."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import panel as pn

from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.bars import Bars
from txpanel.toolkit.card import Rich, as_shown, card, engineers, flow, picture, provenance
from txpanel.toolkit.explained import highlighted_cells
from txpanel.toolkit.format import count, number
from txpanel.toolkit.vector_strips import VectorStrips, strip_table
from txpanel.views.background import background, one_by_one, plot
from txpanel.views.base import View
from txpanel.views.embedding import tables
from txpanel.views.embedding.data import (
    Neighbours,
    Rotation,
    has_table,
    made_elsewhere,
    neighbours,
    pieces,
    rotation,
    slopes,
)
from txpanel.views.embedding.pieces import Pieces
from txpanel.views.embedding.rotary_dials import Dials
from txpanel.views.embedding.strips import lanes, strips
from txpanel.views.embedding.words import lead, notes

DIALS = 16
"""Pairs of a head that get a dial; of more, as many are taken evenly."""


class EmbeddingView(View):
    """The tokenizer's pieces with bytes and ids, and how each id becomes a vector that knows its place.

    Shows the row of the token table, its scale, the position (a learned row; rotary embedding as turned pairs in the block and head in focus;
    ALiBi's slopes), their sum as real strips, and the nearest neighbours of the token in the whole table.
    """

    id: ClassVar[str] = "embedding"
    title: ClassVar[str] = _("Embedding")
    order: ClassVar[int] = 10
    requires: ClassVar[frozenset[str]] = frozenset({"embed"})
    shows: ClassVar[frozenset[str]] = frozenset({"embed", "embed_norm", "embed_proj", "pos_embed"})

    def __panel__(self) -> pn.viewable.Viewable:
        self._worker = background()
        self._nearest: tuple[tuple[str, int], Neighbours] | None = None
        self._turn: Rotation | None = None
        self._slope: np.ndarray | None = None
        self._words = Rich(sizing_mode="stretch_width")
        self._fold = engineers()
        self._pieces = Pieces(on_pick=lambda at: self.state.focus(query=at))
        self._strips = VectorStrips(on_pick=self.state.ask)
        self._lanes = VectorStrips(on_pick=self.state.ask)
        self._dials = Dials(on_pick=self._ask_pair)
        self._near = Bars(self, "lane", tap=self._visit, hover=(_("token"), _("cosine"), _("row")))
        self._slopes = Bars(self, "key", tap=self._ask_slope, hover=(_("head"), _("slope"), _("tensor")))
        of = self._pictures()
        layout = card("", self._words, of["tokens"], of["vector"], beside=[self._fold])
        self.follow(self._tokens_changed, "trace", "query")
        self.follow(self._place_changed, "trace", "query", "layer", "head")
        self.follow(self._light, "question", "trace")
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 100%"}}
        last = lambda: as_shown(flow(*(of[name] for name in ("rotary", "slopes", "neighbours")), **wide))  # noqa: E731
        rest = [lambda: of["lanes"], last]
        one_by_one(layout.pictures, rest, _("More pictures are loading …"), self._guarded)
        return layout

    def _pictures(self) -> dict[str, Any]:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 100%"}}
        half: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 320px"}}
        near, bars = plot(self._near.figure, 300), plot(self._slopes.figure, 220)
        made = [
            ("tokens", _("Tokens"), _("the text as the tokenizer splits it: token, id, bytes"), self._pieces, lambda: tables.tokens(self.state.trace), wide),
            ("vector", _("From token id to vector"), "", self._strips, lambda: strip_table(self._strips.strips), wide),
            ("lanes", _("Input of the first block"), "", self._lanes,
             lambda: strip_table(self._lanes.strips), wide),
            ("rotary", _("Rotary embedding"), "", self._dials, lambda: tables.pairs(self._turn), half),
            ("slopes", _("ALiBi"), _("how much each position further back lowers the scores of a head"), bars,
             lambda: tables.slopes(self._slope), half),
            ("neighbours", _("Nearest tokens"), "", near,
             lambda: tables.nearest(self._nearest[1] if self._nearest is not None else None), half),
        ]  # fmt: skip
        self._shown = {
            name: picture(
                title,
                subtitle,
                plot,
                table=table,
                name=f"embedding-{name}",
                source=lambda: provenance(self.state, "embed"),
                **params,
            )
            for name, title, subtitle, plot, table, params in made
        }
        return self._shown

    def close(self) -> None:
        """See `View.close`."""
        if self._built is not None:
            self._worker.cancel()
        super().close()

    # -- what changes ------------------------------------------------------------------------------------------------

    def _tokens_changed(self) -> None:
        trace, at = self.state.trace, self.state.query
        facts, token = trace.anatomy, int(trace.tokens.ids[at])
        self._pieces.show(pieces(trace), at)
        self._strips.show(strips(trace, at))
        self._lanes.show(lanes(trace, at))
        self._words.paragraphs = lead(trace, at)
        self._fold.formula.latex = [
            trace.operation(name).formula
            for name in ("embed", "embed_proj", "embed_norm", "pos_embed", "blocks.0.resid_pre")
            if name in trace
        ]
        self._fold.notes.paragraphs = notes(trace, self.state.layer)
        self._subtitle(
            "vector",
            _("“{token}”: each strip is one vector of the model, {n} numbers").format(
                token=visible(trace.tokens.strings[at]), n=count(facts.width)
            ),
        )
        said = _("the start of each token's residual stream, on one colour scale")
        if (total := len(trace.tokens.ids)) > len(self._lanes.strips):
            said += " · " + _("tokens {a}–{b} of {n}").format(
                a=self._lanes.strips[0].index["token"] + 1, b=self._lanes.strips[-1].index["token"] + 1, n=total
            )
        self._subtitle("lanes", said)
        self._refresh("tokens", "vector", "lanes")
        self._find_near(token)

    def _place_changed(self) -> None:
        trace, at, layer = self.state.trace, self.state.query, self.state.layer
        self._turn = rotation(trace, layer, self.state.head, at)
        self._slope = slopes(trace, layer)
        self._shown["rotary"].visible = self._turn is not None
        self._shown["slopes"].visible = self._slope is not None
        if self._turn is not None:
            self._show_dials(self._turn)
        if self._slope is not None:
            tensors = [f"blocks.{layer}.alibi[{head}]" for head in range(len(self._slope))]
            names = [_("head {n}").format(n=head + 1) for head in range(len(self._slope))]
            self._slopes.feed(
                names, self._slope, [number(float(v)) for v in self._slope], tensors=tensors, chosen=self.state.head
            )
        self._refresh("rotary", "slopes")

    def _show_dials(self, turn: Rotation) -> None:
        shown = np.unique(np.linspace(0, len(turn.angle) - 1, min(DIALS, len(turn.angle))).round().astype(int))
        dials = [
            {"label": f"{turn.after_at[i, 0]}, {turn.after_at[i, 1]}", "before": turn.before[i].tolist(), "after": turn.after[i].tolist(),
             "angle": float(turn.angle[i]), "at": int(turn.after_at[i, 0])} for i in shown
        ]  # fmt: skip
        size = np.hypot(turn.before[shown, 0], turn.before[shown, 1])
        self._dials.show(dials, float(np.quantile(size, 0.9)) or 1.0)
        words = _(
            "query of head {head} in block {layer}, position {at}: each pair of numbers before rotation (grey) and "
            "after (blue); {n} of {all} pairs; pairs longer than the ring end at it"
        )
        if len(shown) == len(turn.angle):
            words = _(
                "query of head {head} in block {layer}, position {at}: each pair of numbers before rotation (grey) and "
                "after (blue); pairs longer than the ring end at it"
            )
        self._subtitle(
            "rotary",
            words.format(
                head=self.state.head + 1,
                layer=self.state.layer + 1,
                at=self.state.query + 1,
                n=len(shown),
                all=len(turn.angle),
            ),
        )

    def _find_near(self, token: int) -> None:
        trace = self.state.trace
        model = trace.model
        there = has_table(model) and made_elsewhere(trace, self.state.query) is None
        self._shown["neighbours"].visible = there
        if not there or (self._nearest is not None and self._nearest[0] == (model.key, token)):
            return

        def job(cancel: Any, publish: Any) -> None:
            found = neighbours(model, token, stop=cancel)
            if found is not None:
                publish(lambda: self._guarded(lambda: self._show_near((model.key, token), found)))

        self._worker.submit(job)

    def _show_near(self, key: tuple[str, int], found: Neighbours) -> None:
        if self.state is None or self.state.trace is None:
            return
        self._nearest = (key, found)
        names = [text.replace(" ", "␣") for text in found.strings]
        table = self.state.trace.model.parts.tables["embed"][0]
        rows = [f"{table}[{i}]" for i in found.ids]
        self._near.feed(names, found.cosines, [number(float(c), 3) for c in found.cosines], tensors=rows)
        name = self.state.trace.model.tokens([found.token]).strings[0]
        self._subtitle(
            "neighbours",
            _("the rows of the embedding matrix with the largest cosine to that of “{token}”, among all {n}").format(
                token=visible(name), n=count(self.state.trace.anatomy.vocab)
            ),
        )
        self._refresh("neighbours")

    def _light(self) -> None:
        cells = highlighted_cells(self.state.trace, self.state.question)
        self._strips.light(cells)
        self._lanes.light(cells)

    # -- what a person did -------------------------------------------------------------------------------------------

    def _ask_pair(self, dim: int) -> None:
        if self._turn is None:
            return
        self.state.ask(self._turn.name, head=self._turn.head, token=self.state.query, dim=dim)

    def _visit(self, place: int) -> None:
        """Asks about the cosine of a neighbour's row of the table with the token's own."""
        if self._nearest is not None and place < len(self._nearest[1].ids):
            found = self._nearest[1]
            self.state.ask(f"embed.{found.token}.{found.ids[place]}.cosine")

    def _ask_slope(self, head: int) -> None:
        """Asks about the bias of the last but one key for the last query: one step of distance, so it is the slope."""
        name, last = f"blocks.{self.state.layer}.alibi", len(self.state.trace.tokens.ids) - 1
        if self._slope is not None and head < len(self._slope):
            rows = self.state.trace.tensor(name).shape[1]
            self.state.ask(name, head=head, query=min(last, rows - 1), key=last - 1)

    def _subtitle(self, name: str, text: str) -> None:
        self._shown[name].heading.paragraphs = [[("", text)]]

    def _refresh(self, *names: str) -> None:
        for name in names:
            self._shown[name].tools.changed()
