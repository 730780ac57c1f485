"""The timeline under the bar, kept in step with a state: the film as the browser needs it, and what is asked of it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.messages import _
from txpanel.models.tokens import alone
from txpanel.page.timeline.component import FilmStrip
from txpanel.page.top_bar.words import film_words, tokens_counted
from txpanel.toolkit.format import number, percent
from txpanel.views.background import aside

if TYPE_CHECKING:
    from txpanel.decoding import Sample
    from txpanel.session.state import ModelState
    from txpanel.session.token_tree import Film, Shot
    from txpanel.session.worker import Worker
    from txpanel.tracing.trace import Trace

__all__ = ["Strip"]

PROMPT = 60
"""Tokens of the prompt that are shown before what was generated."""
CHOICES = 8
TAIL = 40


class Strip:
    """Fills a `FilmStrip` from a `ModelState` and passes the browser's wishes on to it."""

    def __init__(self) -> None:
        self.pace = 0.0
        self._state: ModelState | None = None
        self._watchers: list[Any] = []
        self._sent: list[int] = []
        self._shots: tuple[Shot, ...] = ()
        self._heard_of: tuple[int, ...] = ()
        self._worker: Worker | None = None
        self._comparer: Worker | None = None
        self._met = False  # whether a browser has drawn it; that may come before there is a state
        self._pair = (0, 0)  # the ends of two branches that are compared
        self._compared: tuple[Any, ...] = ()
        self.component = FilmStrip(self._told, words=film_words(), sizing_mode="stretch_width", margin=0, visible=False)

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state, self._worker, self._comparer = state, aside(), aside()
        if self._met:
            state.follow_page()
        for draw, names in (
            (self._draw_film, ["film", "busy", "stale", "chat"]),
            (self._draw_prompt, ["trace", "film", "chat", "busy"]),
            (self._draw_next, ["sampled", "film", "trace", "stale"]),
        ):
            self._watchers.append(state.param.watch(draw, names))
            draw()

    def close(self) -> None:
        """Lets go of the state."""
        for watcher in self._watchers:
            if self._state is not None:
                self._state.param.unwatch(watcher)
        self._watchers.clear()
        for worker in (self._worker, self._comparer):
            if worker is not None:
                worker.cancel()
        self._state = None
        self.component.close()

    # -- what the browser asks for ---------------------------------------------------------------------------------------

    def _told(self, data: dict[str, Any]) -> None:
        self._met |= data.get("kind") == "hello"
        wish = getattr(self, f"_wish_{data.get('kind')}", None)
        value = data.get("value")
        if wish is not None and self._state is not None and isinstance(value, int | float):
            wish(self._state, value)

    def _wish_go(self, state: ModelState, node: float) -> None:
        if 0 <= node <= len(state.film) and node != state.film.at:
            state.go(int(node))

    def _wish_switch(self, state: ModelState, leaf: float) -> None:
        if 1 <= leaf <= len(state.film):
            state.switch(int(leaf))

    def _wish_compare(self, state: ModelState, leaf: float) -> None:
        self._pair = (state.film.leaf, int(leaf))
        self._compare(state.film)

    def _wish_take(self, state: ModelState, token: float) -> None:
        state.append(int(token))

    def _wish_pace(self, state: ModelState, seconds: float) -> None:
        self.pace = min(max(float(seconds), 0.0), 10.0)

    def _wish_hello(self, state: ModelState, _value: float) -> None:
        state.follow_page()

    def _wish_seen(self, state: ModelState, _node: float) -> None:
        state.seen()

    def _wish_sync(self, state: ModelState, _value: float) -> None:
        self._send_line(state.film, whole=True)

    # -- what it shows ---------------------------------------------------------------------------------------------------

    def _draw_film(self, *_events: Any) -> None:
        state = self._state
        if state is None:
            return
        from txpanel.decoding.generation import why_ended  # with torch: the page stands before that is there

        film = state.film
        self._send_line(film, whole=not state.busy)
        with_ends = film.line and film.at == film.leaf
        last = film.shot(film.leaf) if with_ends else None
        self.component.param.update(
            visible=bool(film.shots) or (state.chat and state.trace is not None),
            place={"at": film.at, "leaf": film.leaf, "busy": state.busy, "stale": state.stale},
            ended=(why_ended(last.ended, last.string) or "") if last is not None and not state.busy else "",
        )
        if not state.busy:
            self.component.branches = _branches(film)
            self._compare(film)

    def _compare(self, film: Film) -> None:
        """The branch that is shown beside another one; nothing once one of the two is gone."""
        model, leaf, worker = self._state.model if self._state else None, film.leaf, self._comparer
        other = self._pair[0] if leaf == self._pair[1] else self._pair[1]
        if other == leaf or not {other, leaf} <= set(film.leaves) or model is None or worker is None:
            self._pair, self._compared = (0, 0), ()
            self.component.compare = {}
            return
        self._pair = (leaf, other)
        if self._compared == (self._pair, film.shots):
            return  # somebody looks at another step of the same two
        self._compared = (self._pair, film.shots)

        def job(cancel: Any, publish: Any) -> None:
            from txpanel.page.timeline.branch_comparison import compared

            found = compared(model, film, leaf, other)
            publish(lambda: self.component.param.update(compare=found))

        worker.submit(job)

    def _send_line(self, film: Film, *, whole: bool) -> None:
        line = film.line
        grown = len(line) > len(self._sent) and line[: len(self._sent)] == self._sent
        if whole or not grown:
            if line != self._sent or film.shots != self._shots or self.component.added:
                self.component.param.update(line=[_token(film, n) for n in line], added={})
            self._sent = line
        else:
            begin = len(self._sent)
            self.component.added = {"begin": begin, "items": [_token(film, n) for n in line[begin:]]}
            self._sent = line
        self._shots = film.shots

    def _draw_prompt(self, *_events: Any) -> None:
        state = self._state
        if state is None or state.trace is None or state.stale or not (state.film.shots or state.chat):
            return
        tokens, model = state.trace.tokens, state.trace.model
        size = len(state.film.start) or len(tokens.ids)
        begin = max(0, size - PROMPT)
        special = set(model.tokenizer.all_special_ids) if model is not None else set()
        shown = {
            "strings": tokens.strings[begin:size],
            "special": [i for i, token in enumerate(tokens.ids[begin:size].tolist()) if token in special],
            "more": begin,
        }
        if shown != self.component.prompt:
            self.component.prompt = shown
        ids = tuple(tokens.ids[:size].tolist())
        if not state.busy and ids != self._heard_of:
            self._heard_of = ids
            self._hear(state.trace, begin, size)

    def _hear(self, trace: Trace, begin: int, size: int) -> None:
        """What the model thought of the prompt's tokens: a row of logits for each, so not on the page's own time."""

        def job(cancel: Any, publish: Any) -> None:
            from txpanel.session.token_node import heard

            found = [list(each) if each else None for each in heard(trace, begin, size)]
            publish(lambda: self.component.param.update(heard=found))

        if trace.model is not None and self._worker is not None:
            self.component.heard = []
            self._worker.submit(job)

    def _draw_next(self, *_events: Any) -> None:
        state = self._state
        if state is None or not state.film.shots or state.stale:
            return
        sample, trace = state.sampled, state.trace
        if sample is None or trace is None or trace.model is None:
            self.component.next = {}
            return
        after = state.film.following(state.film.at)
        self.component.next = _next(sample, trace.model, state.film.shot(after) if after is not None else None)


def _token(film: Film, node: int) -> list[Any]:
    shot = film.shot(node)
    bits = shot.surprisal if shot.model_p > 0 else None
    return [
        node,
        shot.string,
        shot.special,
        shot.model_p,
        shot.p,
        shot.rank,
        bits,
        shot.settings.seed,
        shot.draw is not None,
    ]


def _next(sample: Sample, model: Any, taken: Shot | None) -> dict[str, Any]:
    """What could come next: the likeliest tokens and their pieces of the bar, the one that came, and why."""
    from txpanel.decoding.cumulative import edges

    at = edges(sample.probabilities[sample.order])
    ranks = list(range(min(CHOICES, len(sample.order))))
    for token in (sample.token, taken.token if taken is not None else sample.token):
        found = (sample.order == token).nonzero()[0]
        ranks += [int(rank) for rank in found if int(rank) not in ranks]
    ids = [int(sample.order[rank]) for rank in ranks]
    cut = _cut_off(sample, CHOICES - len(ids), taken)  # what the settings removed can still be chosen by hand
    strings = model.tokens([*ids, *cut]).strings
    choices = [
        [token, text, float(at[rank + 1] - at[rank]), float(at[rank]), float(at[rank + 1])]
        for rank, token, text in zip(ranks, ids, strings, strict=False)
    ]
    choices += [[token, text, 0.0, 1.0, 1.0] for token, text in zip(cut, strings[len(ids) :], strict=True)]
    return {
        "choices": choices,
        "taken": taken.token if taken is not None else None,
        "drawn": sample.token,
        "uniform": sample.draw.uniform,
        "rest": len(sample.order) - len(ranks),
        "sentence": _why(sample, model, taken),
    }


def _cut_off(sample: Sample, n: int, taken: Shot | None) -> list[int]:
    """The likeliest tokens, by the model, that the settings removed; with the one that came, if it is among them."""
    logits, removed = sample.stages[0].logits, sample.removed >= 0
    gone = np.flatnonzero(removed)
    best = gone[np.argsort(-logits[gone], kind="stable")[: max(n, 0)]].tolist()
    more = [taken.token] if taken is not None and removed[taken.token] and taken.token not in best else []
    return [int(token) for token in best + more]


def _why(sample: Sample, model: Any, taken: Shot | None) -> str:
    """Why the next token is what it is, in words."""
    best = int(sample.order[0])
    drawn, likeliest = (alone(text) for text in model.tokens([sample.token, best]).strings)
    p = sample.probabilities
    facts = {
        "seed": sample.draw.seed,
        "u": number(sample.draw.uniform, 4),
        "drawn": drawn,
        "p": percent(float(p[sample.token])),
    }
    facts |= {"best": likeliest, "best_p": percent(float(p[best])), "rank": sample.draw.rank + 1}
    if taken is not None and taken.draw is None:
        return _("Somebody chose “{taken}” here. The draw (u = {u}) falls on “{drawn}” ({p}).").format(
            taken=alone(taken.string), **facts
        )
    if taken is not None and taken.token != sample.token and taken.settings == sample.settings:
        return _(
            "The draw gave “{taken}”. u = {u} lies so close to the edge of its piece that the last digits, which depend on the "
            "order of sums, decide: here it falls on “{drawn}”."
        ).format(taken=alone(taken.string), **facts)
    if taken is not None and taken.token != sample.token:
        return _(
            "With {changes} the same number, u = {u}, falls on “{drawn}” ({p}) instead of “{taken}” ({was})."
        ).format(changes=_changes(taken, sample), taken=alone(taken.string), was=percent(taken.p), **facts)
    if p[best] == 1:
        return _(
            "The settings leave only one token, “{drawn}”, to which the model gives {own}: whatever the number, it is taken."
        ).format(own=percent(float(sample.stages[0].probabilities[best])), **facts)
    cut = _first_cut(sample, model)
    if sample.token == best:
        return cut + _(
            "Seed {seed} gives u = {u}, and that falls on the piece of the likeliest token, “{drawn}” ({p})."
        ).format(**facts)
    return cut + _(
        "The likeliest token, “{best}”, has {best_p}: only numbers below {end} fall on it. Seed {seed} gives u = {u}, and that "
        "is the piece of “{drawn}” ({p}, number {rank})."
    ).format(end=number(float(p[best]), 3), **facts)


def _first_cut(sample: Sample, model: Any) -> str:
    """What became of the token that the model itself holds likeliest, if a stage removed it; empty if not."""
    from txpanel.views.sampling.words import bench_words

    first = int(sample.stages[0].logits.argmax())
    stage = sample.removed_by(first)
    if stage is None:
        return ""
    facts = {
        "first": alone(model.tokens([first]).strings[0]),
        "p": percent(float(sample.stages[0].probabilities[first])),
    }
    text = _("The model's first choice, “{first}” ({p}), was cut off by {stage}.")
    return text.format(stage=bench_words()[stage], **facts) + " "


def _changes(taken: Shot, sample: Sample) -> str:
    """The settings that differ from those with which the token was drawn."""
    from txpanel.decoding import FIELDS

    old, new = taken.settings, sample.settings
    names = [name for name in FIELDS if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name} {getattr(old, name):g} → {getattr(new, name):g}" for name in names)


def _branches(film: Film) -> list[dict[str, Any]]:
    """All branches, oldest first; none while there is only one."""
    leaves = film.leaves
    if len(leaves) < 2:
        return []
    depth = {n: len(film.path(n)) for n in leaves}
    shared = min(len(film.path(film.fork(a, b))) for a in leaves for b in leaves if a != b)
    found = []
    for leaf in leaves:
        fork = len(film.path(film.fork(leaf, film.leaf))) if leaf != film.leaf else shared
        tail = [film.shot(n).string for n in film.path(leaf)[shared:]]
        found.append(
            {
                "leaf": leaf,
                "fork": fork,
                "shared": shared,
                "shared_counted": tokens_counted(shared),
                "counted": tokens_counted(depth[leaf]),
                "n": depth[leaf],
                "logp": film.log_probability(leaf),
                "tail": tail[:TAIL],
                "more": max(0, len(tail) - TAIL),
                "current": leaf == film.leaf,
            }
        )
    return found
