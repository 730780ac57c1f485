"""The sampling view: what each stage from the logits to the next token does, and the draw."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import panel as pn

from txpanel.decoding import FIELDS, Sample, own_settings, uniform
from txpanel.decoding import sample as sample_logits
from txpanel.decoding.ranges import within
from txpanel.decoding.ranking import starts
from txpanel.decoding.stages import SPECS, for_browser, stage_label
from txpanel.errors import NoTokenLeft
from txpanel.messages import _, plural
from txpanel.toolkit.card import Rich, Table, card, engineers, picture, provenance, rich
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.highlights import Highlights
from txpanel.toolkit.incoming import heard
from txpanel.views.base import View
from txpanel.views.distribution import others_name, token_names
from txpanel.views.sampling.beams import Beams
from txpanel.views.sampling.component import SamplingBench
from txpanel.views.sampling.words import bench_words, presets

__all__ = ["SamplingView"]

NAMED = 400
"""Likeliest tokens whose text travels with the logits; a token drawn from beyond them is named by the server's answer."""

LISTED = 20
"""Tokens in the list, at most."""

SEEDS = 1000

FORMULAS = (
    *(spec.formula for spec in SPECS if spec.formula),
    r"\text{draw:}\quad \sum_{j<i} p_j \le u < \sum_{j\le i} p_j",
)


class SamplingView(View):
    """From the model's logits over the whole vocabulary to one token, stage by stage, live in the browser."""

    id: ClassVar[str] = "sampling"
    title: ClassVar[str] = _("Sampling")
    order: ClassVar[int] = 60
    requires: ClassVar[frozenset[str]] = frozenset({"logits"})
    shows: ClassVar[frozenset[str]] = frozenset({"draw"})  # no tensor: the flow's sentence about the draw leads here

    _others = ""
    """Tensor name of the sum over all tokens that were not listed, as it was last asked for; empty before."""

    def __panel__(self) -> pn.Column:
        self.words = Rich(heading=_("Choosing the next token"), paragraphs=[])
        self.bench = SamplingBench(
            on_message=self._on_message,
            words=bench_words(),
            stages=for_browser(),
            settings_key=self.state.name,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.formulas = engineers(*FORMULAS, notes=_notes())
        self.picture = picture(
            _("Probabilities after each stage"),
            _("computed in your browser; the model does not run again"),
            self.bench,
            table=self._rows,
            name="sampling",
            source=lambda: {**provenance(self.state, "logits"), **{k: str(v) for k, v in self._settings().items()}},
            styles={"flex": "1 1 320px", "min-width": "0"},
        )
        self.beams = Beams(self)
        self.card = card("", self.words, self.picture, self.beams.picture, beside=[self.formulas])
        self.follow(self._run, "trace", empty=self._none)
        Highlights.of(self).add(self)
        self.follow(self._moved, "sampled", *FIELDS)
        return pn.Column(self.card, sizing_mode="stretch_width", margin=0)

    def _settings(self) -> dict[str, Any]:
        """All settings as plain numbers, for the browser."""
        off = self.state.param
        return {name: type(off[name].default)(getattr(self.state, name)) for name in FIELDS}

    def _none(self) -> None:
        self.beams.picture.visible = False
        self.bench.param.update(logits=self.bench.param.logits.default, names=[], version=self.bench.version + 1)
        self.words.paragraphs = rich(_("The model gives each token a probability; then one token is drawn at random."))

    def close(self) -> None:
        """Lets go of the state; a search that runs ends within a step."""
        if hasattr(self, "beams"):
            self.beams.stop()
        super().close()

    def _run(self) -> None:
        """Another run: its logits go to the browser, with the names of the likeliest tokens and of the text's."""
        self.beams.reset()
        trace = self.state.trace
        logits = trace.logits.values.astype("float32")
        best = (-logits).argsort(kind="stable")[:NAMED]
        text = {
            "ids": [int(token) for token in trace.tokens.ids],
            "names": [str(name) for name in trace.tokens.strings],
        }
        fills = trace.anatomy.fills
        self.words.heading = _("Choosing the masked token") if fills else _("Choosing the next token")
        self.bench.words = bench_words(fills=fills)
        self._tell()
        model = self.state.model
        said = getattr(model.model, "generation_config", None) if model is not None else None
        own = own_settings(model) if said is not None and not fills else None
        self.bench.param.update(
            logits=logits,
            names=list(zip(best.tolist(), token_names(trace, best), strict=True)),
            text=text,
            uniforms=_uniforms(),
            presets=presets(own),
            version=self.bench.version + 1,
        )
        self.picture.tools.changed()

    def _moved(self) -> None:
        """A setting moved here or elsewhere on the page, or there is a new seed."""
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
        trace, settings = self.state.trace, self._settings()
        here = {**settings, "uniform": uniform(settings["seed"])}
        try:
            sample = self._sample()
        except NoTokenLeft as error:
            self.bench.param.update(settings=here, answer={**settings, "none": str(error)})
            self.words.paragraphs = rich("{error}", error=error)
            return
        name = token_names(trace, [sample.token])[0]
        answer = {"kept": [stage.kept for stage in sample.stages], "starts": starts(sample), "token": sample.token}
        self.bench.param.update(settings=here, answer={**settings, **answer, "name": name})
        self._say(sample, name)

    def _say(self, sample: Sample, name: str) -> None:
        kept = sample.stages[-1].kept
        self.words.paragraphs = rich(
            _(
                "The model gives each token a probability; then one token is <b>drawn</b> at random. Without settings, "
                "the most likely token is drawn with a probability of {best}.\n\n"
                "STAGES\n\n"
                "With your settings {left}; the entropy is {bits} bits (without settings: {own}). The random number "
                "selects <token>{token}</token>."
            ).replace("STAGES", _what_stages_do()),
            best=percent(float(sample.stages[0].probabilities.max())),
            left=plural("{n} token is left", "{n} tokens are left", kept).format(n=count(kept)),
            bits=number(sample.stages[-1].entropy, 3),
            own=number(sample.stages[0].entropy, 3),
            token=name,
        )

    @heard
    def _on_message(self, kind: str, data: dict[str, Any]) -> None:
        """What a person did on the bench. Nonsense from the browser changes nothing."""
        state = self.state
        if state is None or state.trace is None:
            return
        token = data.get("token")
        known = isinstance(token, int) and 0 <= token < state.trace.logits.size
        if kind == "set":
            state.param.update(**_inside(data))
        elif kind == "seed" and isinstance(data.get("seed"), int) and data["seed"] >= 0:
            state.seed = within("seed", data["seed"])
        elif kind == "append" and known:
            state.append(token)
        elif kind == "why":
            self._ask(data.get("tensor", "logits"), token if known else None, data.get("listed"))

    def light(self, cells: Any) -> None:
        """Marks the numbers of the model's own that the open "why" card is about."""
        asked = [(name, index.get("vocab", -1)) for name, index in cells]
        self.bench.lights = [
            [token, "others" if name.startswith("probs.others.") else name]
            for name, token in asked
            if name in ("logits", "probs", "probs.entropy") or name == self._others
        ]

    def _ask(self, tensor: Any, token: int | None, listed: Any) -> None:
        """Asks about a number before the first stage; those of later stages are explained in the browser."""
        if tensor in ("logits", "probs") and token is not None:
            self.state.ask(tensor, vocab=token)
        elif tensor == "probs.entropy":
            self.state.ask(tensor)
        elif tensor == "others" and isinstance(listed, list):
            logits = self.state.trace.logits.values
            ids = [i for i in listed[:LISTED] if type(i) is int and 0 <= i < logits.size]
            self._others = f"probs.{others_name(np.argsort(-logits, kind='stable').astype(np.int64), ids)}"
            self.state.ask(self._others)

    def _rows(self) -> Table:
        """Every token that is left, and the likeliest that are not, with its logit and probability after each stage."""
        sample = self._sample()
        best = (-sample.stages[0].logits).argsort(kind="stable")[:NAMED]
        gone = best[sample.removed[best] >= 0]
        order = np.concatenate([sample.order, gone])
        changing = {"logits", *(spec.key for spec in SPECS if not spec.removes)}
        columns: dict[str, Any] = {_("token"): token_names(self.state.trace, order), _("id"): order}
        for stage in sample.stages[:-1]:
            title = stage_label(stage.name) if stage.name != "logits" else _("the model")
            if stage.active and stage.name in changing:
                columns[_("logit") if stage.name == "logits" else f"{title}: x"] = stage.logits[order]
            if stage.active:
                columns[title if stage.name == "logits" else f"{title}: p"] = stage.probabilities[order]
        columns[_("with your settings")] = sample.probabilities[order]
        columns[_("cut off by")] = [stage_label(name) if (name := sample.removed_by(token)) else "" for token in order]
        caption = _("tokens that are left, most likely first; then the most likely of those that were cut off")
        return Table.of(caption, **columns)


@cache
def _uniforms() -> npt.NDArray[np.float64]:
    """The numbers of the seeds 0 to 999, float64 [1000]."""
    return np.array([uniform(seed) for seed in range(SEEDS)])


def _what_stages_do() -> str:
    """Sentences on the stages, in the marks of `rich`."""
    marked = [(spec, f"<b>{spec.words().label}</b>") for spec in SPECS if not spec.words().card]
    cutting = _listed([label for spec, label in marked if not spec.looks_back])
    looking = _listed([label for spec, label in marked if spec.looks_back])
    text = _("{cutting} cut off unlikely tokens; {looking} depend on the text so far.")
    return " ".join(
        [*(spec.words().card for spec in SPECS if spec.words().card), text.format(cutting=cutting, looking=looking)]
    )


def _listed(names: list[str]) -> str:
    """Names in a row, as a sentence has them."""
    return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1]) if names[1:] else "".join(names)


def _inside(data: dict[str, Any]) -> dict[str, Any]:
    """Settings from a browser's message, each within its bounds; what is not a number is left out."""
    values = {spec.key: within(spec.key, data.get(spec.key)) for spec in SPECS}
    return {name: value for name, value in values.items() if value is not None}


def _notes() -> Any:
    return rich(
        _(
            "The logits of the whole vocabulary are sent to the browser once per run, 4 bytes per token; moving a "
            "slider does not run the model. The stages follow transformers' own logits processors in the order of "
            "<code>generate</code>, and the server checks every setting.\n\n"
            "The browser computes in double precision, transformers in single precision: a token within a millionth "
            "of a threshold may change sides when the server's result arrives.\n\n"
            "u comes from NumPy's PCG64 generator and depends on the seed alone: the same seed always gives the same "
            "u."
        )
    )
