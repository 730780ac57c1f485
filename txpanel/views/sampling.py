"""The sampling view: what temperature, top-k, top-p and min-p leave, and the draw of the next token."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import panel as pn

from txpanel.components.sampling import SamplingBench
from txpanel.messages import _
from txpanel.sampling import Sample
from txpanel.sampling import sample as sample_logits
from txpanel.views.base import View
from txpanel.views.numbers import number, percent
from txpanel.views.pieces import Rich, Table, card, engineers, picture, provenance, rich
from txpanel.views.softmax_data import token_names

__all__ = ["SamplingView"]

_SHOWN = ("logits", "temperature", "top_k", "top_p", "min_p")

NAMED = 400
"""Likeliest tokens whose text travels with the logits; a token drawn from beyond them is named by the server's answer."""


class SamplingView(View):
    """Temperature, top-k, top-p and min-p over the whole vocabulary, live in the browser, and a draw that can be looked at."""

    id: ClassVar[str] = "sampling"
    title: ClassVar[str] = _("Sampling")
    order: ClassVar[int] = 60
    requires: ClassVar[frozenset[str]] = frozenset({"logits"})

    def __panel__(self) -> pn.Column:
        self.words = Rich(heading=_("Choosing the next token"), paragraphs=[])
        self.bench = SamplingBench(on_message=self._heard, words=_words(), sizing_mode="stretch_width", margin=0)
        self.formulas = engineers(
            r"x_i' = x_i / \tau",
            r"\text{top-k:}\quad \text{keep } i \text{ if } x_i' \ge \text{the } k\text{-th largest}",
            r"\text{top-p:}\quad \text{the likeliest that together reach } p",
            r"\text{min-p:}\quad \text{keep } i \text{ if } p_i \ge \text{min-p} \cdot \max_j p_j",
            r"\text{draw:}\quad \sum_{j<i} p_j \le u < \sum_{j\le i} p_j",
            notes=rich(
                _(
                    "The logits of the whole vocabulary travel to the browser once per run, 4 bytes a token; "
                    "moving a slider runs no model. The stages follow transformers' own processors in the order "
                    "of <code>generate</code>, and the server's answer confirms every setting.\n\nu is drawn by "
                    "NumPy's PCG64 generator from the seed alone: the same seed gives the same u everywhere."
                )
            ),
        )
        self.picture = picture(
            _("What each stage leaves"),
            _("everything here moves in your browser; the model does not run again"),
            self.bench,
            table=self._rows,
            name="sampling",
            source=lambda: {**provenance(self.state, "logits"), **{k: str(v) for k, v in self._settings().items()}},
            styles={"flex": "1 1 320px", "min-width": "0"},
        )
        self.card = card("", self.words, self.picture, beside=[self.formulas])
        self.follow(self._run, "trace", empty=self._none)
        self.follow(self._moved, "sampled", "temperature", "top_k", "top_p", "min_p", "seed")
        return pn.Column(self.card, sizing_mode="stretch_width", margin=0)

    def _settings(self) -> dict[str, Any]:
        state = self.state
        return {
            "temperature": float(state.temperature),
            "top_k": int(state.top_k),
            "top_p": float(state.top_p),
            "min_p": float(state.min_p),
            "seed": int(state.seed),
        }

    def _none(self) -> None:
        self.bench.param.update(logits=self.bench.param.logits.default, names=[], version=self.bench.version + 1)
        self.words.paragraphs = rich(
            _("The model does not choose a token: it gives each a probability, and one is drawn.")
        )

    def _run(self) -> None:
        """Another run: its logits go to the browser."""
        trace = self.state.trace
        logits = trace.logits.values.astype("float32")
        best = (-logits).argsort(kind="stable")[:NAMED]
        self._tell()
        self.bench.param.update(logits=logits, names=token_names(trace, best), version=self.bench.version + 1)
        self.picture.tools.changed()

    def _moved(self) -> None:
        """A slider here or elsewhere on the page, or a new seed."""
        self._tell()
        self.picture.tools.changed()

    def _sample(self) -> Sample:
        """The state's own result, once it belongs to the run and the settings on screen; else computed here (no forward pass)."""
        sample = self.state.sampled
        logits = self.state.trace.logits
        if (
            sample is not None
            and sample.settings == self.state.settings
            and len(sample.stages[0].logits) == logits.size
            and (sample.stages[0].logits == logits.values).all()
        ):
            return sample
        return sample_logits(logits, self.state.settings, self.state.trace.tokens.ids)

    def _tell(self) -> None:
        trace, sample, settings = self.state.trace, self._sample(), self._settings()
        name = token_names(trace, [sample.token])[0]
        self.bench.param.update(
            settings={**settings, "uniform": sample.draw.uniform},
            answer={
                **settings,
                "kept": [sample.stage(name).kept for name in _SHOWN],
                "token": sample.token,
                "name": name,
            },
        )
        best = float(sample.stages[0].probabilities.max())
        self.words.paragraphs = rich(
            _(
                "The model does not choose a token: it gives each a probability, and one is <b>drawn</b>. "
                "The likeliest would be taken in {best} of all draws, so it need not "
                "win.\n\n<b>Temperature</b> sharpens (below 1) or flattens (above 1) the probabilities. "
                "<b>Top-k</b>, <b>top-p</b> and <b>min-p</b> cut off the unlikely end.\n\nWith these "
                "settings {kept} tokens are left, and the uncertainty is {bits} bits (the model's own: "
                "{own}). A random number chose <token>{token}</token>."
            ),
            best=percent(best),
            kept=f"{sample.stages[-1].kept:,}",
            bits=number(sample.stages[-1].entropy, 3),
            own=number(sample.stages[0].entropy, 3),
            token=name,
        )

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        """What a person did on the bench. Nonsense from the browser changes nothing."""
        state = self.state
        if state is None or state.trace is None:
            return
        if kind == "set":
            state.param.update(**_inside(data))
        elif kind == "seed" and isinstance(data.get("seed"), int) and data["seed"] >= 0:
            state.seed = data["seed"]
        elif (
            kind in ("append", "why")
            and isinstance(data.get("token"), int)
            and 0 <= data["token"] < state.trace.logits.size
        ):
            if kind == "append":
                state.append(data["token"])
            else:
                state.ask("logits", vocab=data["token"])

    def _rows(self) -> Table:
        """Every token that is left, with its probability at each stage."""
        sample = self._sample()
        order = sample.order
        names = token_names(self.state.trace, order)
        columns: dict[str, Any] = {_("token"): names, _("id"): order, _("logit"): sample.stages[0].logits[order]}
        for name, title in zip(
            _SHOWN,
            (_("model's p"), _("after temperature"), _("after top-k"), _("after top-p"), _("after min-p")),
            strict=True,
        ):
            columns[title] = sample.stage(name).probabilities[order]
        return Table.of(_("tokens that are left, likeliest first; the others have probability 0"), **columns)


def _inside(data: dict[str, Any]) -> dict[str, Any]:
    """Settings from the browser, each within its bounds; what is no number is left out."""
    found: dict[str, Any] = {}
    for name, most in (("temperature", 100.0), ("top_p", 1.0), ("min_p", 1.0)):
        value = data.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            found[name] = min(most, max(0.0, float(value)))
    k = data.get("top_k")
    if isinstance(k, (int, float)) and not isinstance(k, bool) and math.isfinite(k):
        found["top_k"] = max(0, int(k))
    return found


def _words() -> dict[str, str]:
    return {
        "temperature": _("temperature"),
        "top_k": _("top-k"),
        "top_p": _("top-p"),
        "min_p": _("min-p"),
        "off": _("off"),
        "kept": _("kept"),
        "cut": _("cut off"),
        "temperature_off": _("1: the model's own probabilities"),
        "temperature_on": _("logits are divided by {value}"),
        "temperature_zero": _("0: always the likeliest token"),
        "top_k_off": _("0: off, no limit to the number"),
        "top_k_on": _("the {value} likeliest stay"),
        "top_k_zero": "",
        "top_p_off": _("1: off, the whole distribution"),
        "top_p_on": _("the likeliest that together reach {percent}"),
        "top_p_zero": _("0: only the likeliest stays"),
        "min_p_off": _("0: off"),
        "min_p_on": _("those at least {percent} as likely as the likeliest"),
        "min_p_zero": "",
        "token": _("token"),
        "logit": _("logit"),
        "from_model": _("from the model"),
        "model_p": _("model's p"),
        "at_one": _("softmax of the logits"),
        "temperature_p": _("with temperature"),
        "greedy": _("0: the largest only"),
        "final": _("drawn from"),
        "adds_up": _("adds up to 100 %"),
        "left": _("{n} left"),
        "all": _("all {n}"),
        "others": _("{n} others"),
        "id": _("token {id}"),
        "rank": _("rank {rank}, token id {id}"),
        "why": _("why this number?"),
        "table": _("what each stage leaves of the likeliest tokens"),
        "draw": _("The draw"),
        "seed": _("seed"),
        "roll": _("Draw again"),
        "append": _("Append"),
        "more": _("{n} more tokens"),
        "sentence": _(
            "Seed {seed} gives u = {u}. On a bar from 0 to 1, the likeliest first, it falls between "
            "{low} and {high}: the piece of {token}, number {rank}, as wide as its probability, {p}."
        ),
        "empty": _("Type a text above: then the next token can be drawn here."),
    }
