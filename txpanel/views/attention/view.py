"""The attention view: which token attends to which, why, and what the head adds to the residual stream."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource
from panel.viewable import Viewable

from txpanel.messages import _, again
from txpanel.toolkit.card import Rich, as_shown, card, engineers, rich, stack
from txpanel.views.attention.all_heads import AllHeads
from txpanel.views.attention.data import Look
from txpanel.views.attention.maps import Maps
from txpanel.views.attention.sides import Sides
from txpanel.views.attention.source import SourceCard
from txpanel.views.attention.vectors import Shares, Vectors
from txpanel.views.attention.words import choice_words, head_words, lead_words, sink_words
from txpanel.views.background import one_by_one
from txpanel.views.base import View
from txpanel.views.instead_card import InsteadCard

__all__ = ["AttentionView"]

STEPS = (
    "q",
    "k",
    "v",
    "scores",
    "scores_capped",
    "scores_biased",
    "masked",
    "pattern.max",
    "pattern.sum",
    "pattern",
    "z",
    "result",
    "attn_proj",
    "attn_out",
)


OPTIONS = ("hide_sink", "weigh")
"""What the pattern's picture can show instead."""


class AttentionView(View):
    """q, k and v of one head, its scores stage by stage, its pattern, and what it writes into the stream."""

    id: ClassVar[str] = "attention"
    title: ClassVar[str] = _("Attention")
    order: ClassVar[int] = 20
    requires: ClassVar[frozenset[str]] = frozenset({"pattern"})
    shows: ClassVar[frozenset[str]] = frozenset(
        {"q", "k", "v", "scores", "scores_capped", "scores_biased", "masked", "pattern", "z", "result", "attn_out"}
        | {"cross_scores", "cross_pattern"}
    )

    hide_sink = param.Boolean(
        False,
        label=_("hide the first token"),
        doc="Leave the first token out of the pattern's picture and divide each row by what remains.",
    )
    weigh = param.Boolean(
        False,
        label=_("value-weighted pattern"),
        doc="Show each weight times the length of the value it fetches, after W_O.",
    )

    def __panel__(self) -> pn.Column:
        cursor = ColumnDataSource({"query": [np.nan], "key": [np.nan]})
        self.sides = Sides(self)
        self.maps = Maps(self, cursor, (self.sides.left, self.sides.right))
        self.words, self.about = (
            Rich(heading=" ", paragraphs=[]),
            Rich(paragraphs=[], look="note", sizing_mode="stretch_width", margin=(8, 0)),
        )
        self.formulas = engineers()
        self.options = (
            pn.widgets.CheckBoxGroup(  # a group: a single Checkbox of Bokeh has no label that a screen reader finds
                options={again(self.param[name].label): name for name in OPTIONS},
                value=[name for name in OPTIONS if getattr(self, name)],
                margin=(2, 0),
                stylesheets=["label,span,:host{font-size:13px;color:var(--tx-text)}"],
            )
        )
        first = card("", self.words, self.maps.panel, beside=[self.about, self.options, self.formulas])
        self.cards = stack(first, visible=False)
        self.empty = Rich(paragraphs=rich(_("Type a text above to see the attention of each head here.")), visible=True)
        self.instead = InsteadCard(self, "mixer")
        self.source = SourceCard(self)
        self.follow(self._head, "trace", "layer", "head", empty=self._none)
        self.follow(self.source.feed, "trace", "layer", "head", "query")
        self.follow(self._cell, "query", "key")
        self.follow(self.instead.light, "question")
        self.watch(self, lambda _event: self._option(), *OPTIONS)
        self.watch(
            self.options, lambda event: self.param.update({name: name in event.new for name in OPTIONS}), "value"
        )
        rest = [partial(part, cursor) for part in (self._heads_card, self._vectors_card, self._output_card)]
        one_by_one(self.cards, rest, _("More pictures are loading …"), self._guarded)
        return as_shown(
            pn.Column(
                self.empty, self.instead.panel, self.cards, self.source.panel, sizing_mode="stretch_width", margin=0
            )
        )

    look: Any = None
    all_heads: AllHeads | None = None
    qkv: Vectors | None = None
    z: Vectors | None = None
    shares: Shares | None = None
    """What is built after the first card; None before."""

    def close(self) -> None:
        """See `View.close`."""
        if self.all_heads is not None:
            self.all_heads.close()
        super().close()

    def _heads_card(self, _cursor: ColumnDataSource) -> Viewable:
        self.all_heads = AllHeads(self)
        if self.look is not None:
            self.all_heads.feed(self.look)
        return self.all_heads.panel

    def _vectors_card(self, cursor: ColumnDataSource) -> Viewable:
        self.qkv = Vectors(self, cursor, "qkv")
        if self.look is not None:
            self.qkv.feed(self.look)
        intro = rich(
            _(
                "From the residual stream of each token, the head computes three short vectors: a <q>query</q> (what the "
                "token looks for), a <k>key</k> (what it can be found by) and a <v>value</v> (what it passes on)."
            )
        )
        return card(_("Queries, keys, values"), intro, self.qkv.panel)

    def _output_card(self, cursor: ColumnDataSource) -> Viewable:
        self.shares = Shares(self)
        self.z = Vectors(self, cursor, "z", (self.shares.picture,))
        if self.look is not None:
            self.z.feed(self.look)
            self.shares.feed(self.look, self.state.query)
        output = rich(
            _(
                "For each token, a head computes <v>z</v>: the sum of all values, each times its attention weight. The "
                "matrix W_O turns z into a vector of the residual stream's size. The vectors of all heads add up to the "
                "attention output."
            )
        )
        return card(_("Output of the head"), output, self.z.panel)

    def _none(self) -> None:
        self.instead.hide()
        self.source.panel.visible = False
        self.cards.visible, self.empty.visible = False, True

    def _nothing_here(self) -> None:
        """A block without an attention that is opened: what it has instead, and which blocks have one."""
        self.look = None
        self.instead.show()
        self.cards.visible, self.empty.visible = False, False

    def _head(self) -> None:
        """Another run, block or head."""
        state = self.state
        if not state.trace.anatomy.blocks[state.layer].has_attention:
            self._nothing_here()
            return
        before = self.look
        if before is not None and before.same(state.trace, state.layer, state.head):
            return
        self.look = Look(state.trace, state.layer, state.head)
        elsewhere = before is None or before.trace is not state.trace or before.layer != state.layer
        if elsewhere:
            self.formulas.formula.latex = self._latex()
        if self.all_heads is not None:
            self.all_heads.feed(self.look) if elsewhere else self.all_heads.mark()
        self._maps()
        for vectors in (self.qkv, self.z):
            if vectors is not None:
                vectors.feed(self.look)
        self._sides()
        self.instead.hide()
        self.cards.visible, self.empty.visible = True, False

    def _maps(self) -> None:
        self.maps.feed(self.look, hide_sink=self.hide_sink, weigh=self.weigh)

    def _cell(self) -> None:
        """Another chosen cell: frames move; pictures are fed again only where it lies outside their window."""
        if self.instead.panel.visible:
            self.instead.show()
        if self.look is None or not self.look.same(self.state.trace, self.state.layer, self.state.head):
            return  # a new run is handled by `_head`
        if not self.maps.choose():
            self._maps()
        for vectors in (self.qkv, self.z):
            if vectors is not None and not vectors.choose():
                vectors.feed(self.look)
        self._sides()

    def _sides(self) -> None:
        state = self.state
        self.sides.feed(self.look, state.query, state.key)
        if self.shares is not None:
            self.shares.feed(self.look, state.query)
        self.words.heading = _("Attention, block {block}, head {head}").format(
            block=state.layer + 1, head=state.head + 1
        )
        first = rich(lead_words(self.look))
        self.words.paragraphs = [*first, *head_words(self.look), *choice_words(self.look, state.query, state.key)]
        self.about.paragraphs = sink_words(self.look) if self.look.behaviour[0] == "first" else []

    def _option(self) -> None:
        self.options.value = [name for name in OPTIONS if getattr(self, name)]
        if self.look is not None:
            self._maps()

    def _latex(self) -> list[str]:
        """The formulas of this block's attention, with this model's sizes."""
        names = [f"blocks.{self.look.layer}.{part}" for part in STEPS]
        operations = [self.look.trace.operation(name) for name in names if name in self.look.trace]
        return [
            rf"\text{{{op.output.split('.', 2)[2]}:}}\quad {op.formula}"
            for op in operations
            if op is not None and op.formula
        ]
