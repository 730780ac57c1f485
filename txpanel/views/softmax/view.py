"""The softmax view: from logits to probabilities over the whole vocabulary, and the surprisal of each token of the text."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import panel as pn
import param

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.card import Rich, as_shown, card, engineers, picture, provenance, rich, stack
from txpanel.toolkit.format import count, number
from txpanel.toolkit.highlights import Highlights
from txpanel.toolkit.rendering import sized
from txpanel.views.background import background, one_by_one
from txpanel.views.base import View
from txpanel.views.distribution import Distribution, distribution, others_name, token_names
from txpanel.views.softmax import tables
from txpanel.views.softmax.data import histogram, search
from txpanel.views.softmax.plots import Mirror, Ranked, Surprisal
from txpanel.views.softmax.probabilities import ALL, OTHERS, Facts, Probabilities
from txpanel.views.softmax.words import asked, facts, formulas, lead, search_words, table_words

__all__ = ["SoftmaxView"]

LISTED = 20
"""Likeliest tokens that are listed one by one."""

STEPS = ("logits", "probs.shifted", "probs.exp", "probs")
"""Numbers of each token, from left to right."""

FACTS = ("probs.max", "probs.sum", "probs.entropy")
"""Numbers that belong to no token."""


class SoftmaxView(View):
    """Logits of the whole vocabulary, their maximum, exponentials and sum, the probabilities, and the surprisal of the text."""

    id: ClassVar[str] = "softmax"
    title: ClassVar[str] = _("Next token")
    order: ClassVar[int] = 50
    requires: ClassVar[frozenset[str]] = frozenset({"logits"})
    shows: ClassVar[frozenset[str]] = frozenset({"logits", "probs"})

    position = param.Integer(-1, doc="After which token; -1 is the last one, where the next token is predicted.")
    wanted = param.String("", doc="A token to look for: text or id.")

    found: Distribution | None = None
    _others = ""
    """End of the tensor names of the sums over all tokens that are not listed; see `others_name`."""

    def __panel__(self) -> pn.Column:
        self._bits, self._found_bits = background(), (0, np.empty(0))
        self.words, self.facts, self.formulas = (
            Rich(heading=" ", paragraphs=[]),
            Facts(
                self._ask_fact,
                why=table_words()["why"],
                sizing_mode="stretch_width",
                margin=0,
                styles={"flex": "1 1 100%"},
            ),
            engineers(),
        )
        self.table = Probabilities(on_pick=self._ask, words=table_words(), sizing_mode="stretch_width", margin=0)
        self.field = pn.widgets.TextInput(
            label=_("Find a token"),
            value=self.wanted,
            placeholder=_("text or token id"),
            sizing_mode="stretch_width",
            margin=(8, 0, 0, 0),
        )
        self.watch(self.field, lambda event: self.param.update(wanted=event.new), "value")
        self.answer = Rich(paragraphs=[], look="note", sizing_mode="stretch_width")
        self.mirror, self.ranked = Mirror(self, self._ask_bin), Ranked(self, self._ask)
        self.of_text: pn.Column | None = None
        self.pictures = {
            "probabilities": picture(
                _("From logit to probability"),
                "",
                self.table,
                table=lambda: tables.steps(self.state.trace, self.found or distribution(self.state.trace, self.at)),
                name="probabilities",
                source=self._source,
                styles={"flex": "1 1 560px", "min-width": "0", "max-width": "820px"},
            ),
            "mirror": picture(
                _("Histogram of the logits"),
                _("upwards: share of all tokens in each range of logits; downwards: their share of the probability"),
                self._pane(self.mirror),
                table=lambda: tables.bins(self.mirror.histogram or histogram(distribution(self.state.trace, self.at))),
                name="logit-histogram",
                source=self._source,
            ),
            "ranked": picture(
                _("Logits by rank"),
                _("each point is one token's logit; the axis of ranks is logarithmic"),
                self._pane(self.ranked),
                table=lambda: tables.ranks(self.ranked.source.data),
                name="logits-by-rank",
                source=self._source,
            ),
        }
        sized(self.pictures["mirror"], self.mirror.figure, 560, 210)
        sized(self.pictures["ranked"], self.ranked.figure, 560, 230)
        right = pn.Column(
            self.pictures["mirror"],
            self.pictures["ranked"],
            margin=0,
            styles={"flex": "1 1 300px", "min-width": "0", "max-width": "560px", "gap": "18px"},
        )
        for name in ("mirror", "ranked"):
            self.pictures[name].styles = {"width": "100%", "min-width": "0"}
        first = card(
            "",
            self.words,
            self.facts,
            self.pictures["probabilities"],
            right,
            beside=[self.field, self.answer, self.formulas],
        )
        self.cards = stack(first, visible=False)
        self.empty = Rich(paragraphs=rich(_("Type a text above to see the probabilities of the next token here.")))
        self.follow(self._run, "trace", empty=self._none)
        self.follow(self._follow_token, "query")
        Highlights.of(self).add(self)
        self.watch(self, lambda _event: self._show(), "position", "wanted")
        one_by_one(self.cards, [self._surprisal_card], _("More pictures are loading …"), self._guarded)
        return as_shown(pn.Column(self.empty, self.cards, sizing_mode="stretch_width", margin=0))

    def _surprisal_card(self) -> pn.Column:
        """How surprising each token of the text was; it is computed when the card comes into sight."""
        self.surprisal = Surprisal(self, self._go)
        shown = self.pictures["surprisal"] = picture(
            _("Surprisal of the text so far"),
            "",
            self._pane(self.surprisal),
            table=lambda: tables.surprisal(self.state.trace),
            name="surprisal",
            source=self._source,
        )
        sized(shown, self.surprisal.figure, 1100, 190)
        text = _(
            "Before the model read a token, it had given that token a probability p. The <b>surprisal</b> of the "
            "token is −log₂ p: 1 bit for 1/2, 2 bits for 1/4, about 10 bits for 1/1,000. Click a bar to see what the "
            "model predicted there."
        )
        self.of_text = card(_("Surprisal"), rich(text), shown)
        if self.state.trace is not None:
            self._show_surprisal()
        return self.of_text

    def light(self, cells: Any) -> None:
        """Marks the numbers that the open "why" card is about."""
        if self.state.trace is None:
            return
        own = {self._tensor(name): name for name in (*STEPS, *FACTS, "probs.bins")}
        rest = {self._tensor(f"{name}.{self._others}"): name for name in ("probs", "probs.exp")}
        asked = [(own[name], index) for name, index in cells if name in own]
        self.table.lights = [
            *([index["vocab"], name] for name, index in asked if "vocab" in index),
            *([OTHERS, rest[name]] for name, _index in cells if name in rest),
            *([ALL, name] for name, _index in asked if name == "probs.sum"),
        ]
        self.facts.lights = [name for name, index in asked if not index]
        self.mirror.light([index["bin"] for _name, index in asked if "bin" in index])

    def _tensor(self, own: str) -> str:
        """The full name of an output tensor (``logits``, ``probs``, ...) at the position that is shown."""
        trace = self.state.trace
        return str(trace.lens_name(trace.anatomy.n_layers, self.at, own))

    @staticmethod
    def _pane(plot: Any) -> pn.pane.Bokeh:
        return pn.pane.Bokeh(plot.figure, sizing_mode="stretch_width", margin=0)

    def _source(self) -> dict[str, str]:
        return provenance(self.state, self._tensor("logits"))

    @property
    def last(self) -> int:
        """The last token's place."""
        return len(self.state.trace.tokens.ids) - 1

    @property
    def at(self) -> int:
        """The token after which the distribution stands."""
        return self.last if not 0 <= self.position <= self.last else self.position

    def close(self) -> None:
        """See `View.close`."""
        if self._built is not None:
            self._bits.cancel()
        super().close()

    def _none(self) -> None:
        self.cards.visible, self.empty.visible = False, True

    def _run(self) -> None:
        with param.parameterized.discard_events(self):
            self._follow_token()
        self._show()
        self.cards.visible, self.empty.visible = True, False

    def _follow_token(self) -> None:
        """After the token that is chosen everywhere else, too."""
        self.position = -1 if self.state.query >= self.last else self.state.query

    def _show(self) -> None:
        """Everything, for this run, position and search."""
        trace = self.state.trace
        if trace is None:
            return
        self.found = distribution(trace, self.at)
        marked = search(trace, self.wanted)
        self._say(marked)
        self._list(marked)
        self.mirror.feed(histogram(self.found))
        self.ranked.feed(
            self.found, lambda ids: token_names(trace, ids), list(dict.fromkeys([self.found.largest, *marked[:1]]))
        )
        self._show_surprisal()
        for column in self.pictures.values():
            column.tools.changed()

    def _say(self, marked: list[int]) -> None:
        trace, found = self.state.trace, self.found
        assert found is not None
        here = trace.tokens.strings[self.at]
        self.words.heading = asked(trace, self.at).format(token=f"“{visible(here)}”")
        self.words.paragraphs = lead(trace, found)
        self.facts.facts = facts(found, token_names(trace, [found.largest])[0])
        self.answer.paragraphs = search_words(trace, found, marked) if self.wanted else []
        self.formulas.formula.latex = formulas(trace, found.size)

    def _list(self, marked: list[int]) -> None:
        found = self.found
        assert found is not None
        listed = list(
            dict.fromkeys([*found.order[:LISTED].tolist(), *sorted(marked, key=lambda i: int(found.ranks[i]))])
        )
        rest = found.size - len(listed)
        self._others = others_name(found.order, listed)
        left = np.ones(found.size, bool)
        left[listed] = False
        self.table.param.update(
            rows=[
                {
                    "id": i,
                    "token": name,
                    "rank": int(found.ranks[i]),
                    "logit": float(found.logits[i]),
                    "shifted": float(found.logits[i]) - found.max,
                    "power": float(found.powers[i]),
                    "p": float(found.probabilities[i]),
                    "mark": i in marked,
                }
                for i, name in zip(listed, token_names(self.state.trace, listed), strict=True)
            ],
            others={
                "label": _("{n} other tokens").format(n=count(rest)),
                "power": float(found.powers[left].sum()),
                "p": float(found.probabilities[left].sum()),
            }
            if rest
            else {},
            total={"max": found.max, "sum": found.sum},
            version=self.table.version + 1,
        )
        self.light(Highlights.of(self).cells)

    def _show_surprisal(self) -> None:
        """In a thread: it is a product of every token with the whole unembedding."""
        trace = self.state.trace
        if self.of_text is None:
            return
        self.of_text.visible = (
            not trace.anatomy.fills
        )  # such a model has read all of the text: no token is predicted from those before
        if trace.anatomy.fills:
            return
        if self._found_bits[0] == trace.uid:
            self._bits_there(trace, self._found_bits[1])
            return
        self._no_bits(_("being computed …"))

        def job(cancel: Any, publish: Any) -> None:
            try:
                bits = trace.surprisal()
            except TxpanelError as error:
                said = str(error)
                publish(lambda: self._guarded(lambda: self._no_bits(said)))
                return
            publish(lambda: self._guarded(lambda: self._bits_there(trace, bits)))

        self._bits.submit(job)

    def _no_bits(self, said: str) -> None:
        column = self.pictures["surprisal"]
        column.plot.visible = column.tools.visible = False
        column.heading.paragraphs = [[("muted", said)]]

    def _bits_there(self, trace: Any, bits: np.ndarray) -> None:
        if self.state is None or self.state.trace is not trace:
            return
        self._found_bits = (trace.uid, bits)
        column = self.pictures["surprisal"]
        column.plot.visible = column.tools.visible = True
        known = bits[np.isfinite(bits)]
        said = (
            _("a single token: there is nothing to predict it from")
            if not known.size
            else _(
                "bits per token; {total} bits in total, {mean} on average. The first token has no bar: there is nothing "
                "to predict it from."
            ).format(total=number(float(known.sum()), 4), mean=number(float(known.mean()), 4))
        )
        column.heading.paragraphs = [[("", said)]]
        sized(column, self.surprisal.figure, max(320, min(1100, 90 + 70 * len(bits))), 190)
        self.surprisal.feed(bits, trace.tokens.strings, self.at)
        column.tools.changed()

    def _go(self, token: int) -> None:
        """A clicked token: what did the model expect in its place? That is the distribution after the token before."""
        self.state.focus(query=max(0, token - 1))
        if token:  # nothing came before the first
            self.state.ask(f"surprisal.{token}")

    def _ask(self, token: int, own: str = "logits") -> None:
        if token == OTHERS:
            self.state.ask(self._tensor(f"{own}.{self._others}"))
        elif token == ALL:
            self.state.ask(self._tensor(own))
        else:
            self.state.ask(self._tensor(own), vocab=token)

    def _ask_bin(self, place: int) -> None:
        self.state.ask(self._tensor("probs.bins"), bin=place)

    def _ask_fact(self, own: str) -> None:
        if own != "probs":
            self.state.ask(self._tensor(own))
        elif self.found is not None:
            self._ask(self.found.largest, own)
