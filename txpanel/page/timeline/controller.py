"""The timeline under the bar, kept in step with a state: the tree as the browser needs it, and what is asked of it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.decoding.stages import stage_label
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.page.timeline.component import Timeline
from txpanel.page.top_bar.words import timeline_words, tokens_counted
from txpanel.toolkit.format import number, percent
from txpanel.toolkit.incoming import heard
from txpanel.views.background import background

if TYPE_CHECKING:
    from txpanel.decoding import Sample
    from txpanel.session.state import ModelState
    from txpanel.session.token_tree import TokenNode, TokenTree
    from txpanel.session.worker import Worker
    from txpanel.tracing.trace import Trace

__all__ = ["TimelineController"]

PROMPT = 60
"""Tokens of the prompt that are shown before what was generated."""
CHOICES = 8
KINDS = ("go", "switch", "compare", "take", "pace", "hello", "seen", "sync")
"""Kinds of messages from the browser; each has its `_on_<kind>`."""
TAIL = 40


class TimelineController:
    """Fills a `Timeline` from a `ModelState` and passes the browser's wishes on to it."""

    def __init__(self) -> None:
        self.pace = 0.0
        self._state: ModelState | None = None
        self._watchers: list[Any] = []
        self._sent: list[int] = []
        self._shots: tuple[TokenNode, ...] = ()
        self._scored_ids: tuple[int, ...] = ()
        self._worker: Worker | None = None
        self._comparer: Worker | None = None
        self._met = False  # whether a browser has drawn it; that may come before there is a state
        self._pair = (0, 0)  # the ends of two branches that are compared
        self._compared: tuple[Any, ...] = ()
        self.component = Timeline(
            self._on_message, words=timeline_words(), sizing_mode="stretch_width", margin=0, visible=False
        )

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state, self._worker, self._comparer = state, background(), background()
        if self._met:
            state.follow_page()
        for draw, names in (
            (self._draw_tree, ["tree", "busy", "stale", "chat", "trace"]),
            (self._draw_prompt, ["trace", "tree", "chat", "busy"]),
            (self._draw_next, ["sampled", "tree", "trace", "stale"]),
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

    @heard
    def _on_message(self, data: dict[str, Any]) -> None:
        self._met |= data.get("kind") == "hello"
        kind, value = data.get("kind"), data.get("value")
        if kind in KINDS and self._state is not None and isinstance(value, int | float):
            getattr(self, f"_on_{kind}")(self._state, value)

    def _on_go(self, state: ModelState, node: float) -> None:
        if 0 <= node <= len(state.tree) and node != state.tree.at:
            state.go(int(node))

    def _on_switch(self, state: ModelState, leaf: float) -> None:
        if 1 <= leaf <= len(state.tree):
            state.switch(int(leaf))

    def _on_compare(self, state: ModelState, leaf: float) -> None:
        self._pair = (state.tree.leaf, int(leaf))
        self._compare(state.tree)

    def _on_take(self, state: ModelState, token: float) -> None:
        state.append(int(token))

    def _on_pace(self, state: ModelState, seconds: float) -> None:
        self.pace = min(max(float(seconds), 0.0), 10.0)

    def _on_hello(self, state: ModelState, _value: float) -> None:
        state.follow_page()

    def _on_seen(self, state: ModelState, _node: float) -> None:
        state.seen()

    def _on_sync(self, state: ModelState, _value: float) -> None:
        self._send_line(state.tree, whole=True)

    # -- what it shows ---------------------------------------------------------------------------------------------------

    def _draw_tree(self, *_events: Any) -> None:
        state = self._state
        if state is None:
            return
        # late: torch; the page is painted before it is imported
        from txpanel.decoding.generation import ended_briefly, why_ended

        tree = state.tree
        self._send_line(tree, whole=not state.busy)
        with_ends = tree.line and tree.at == tree.leaf
        last = tree.node(tree.leaf) if with_ends else None
        self.component.param.update(
            visible=state.trace is not None,
            place={"at": tree.at, "leaf": tree.leaf, "busy": state.busy, "stale": state.stale},
            ended=(why_ended(last.ended, last.string) or "") if last is not None and not state.busy else "",
            ended_brief=ended_briefly(last.ended) if last is not None and not state.busy else "",
        )
        if not state.busy:
            self.component.branches = _branches(tree)
            self._compare(tree)

    def _compare(self, tree: TokenTree) -> None:
        """The branch that is shown beside another one; nothing once one of the two is gone."""
        model, leaf, worker = self._state.model if self._state else None, tree.leaf, self._comparer
        other = self._pair[0] if leaf == self._pair[1] else self._pair[1]
        if other == leaf or not {other, leaf} <= set(tree.leaves) or model is None or worker is None:
            self._pair, self._compared = (0, 0), ()
            if worker is not None:
                worker.cancel()  # one that is computed still would come back after it was closed
            self.component.compare = {}
            return
        self._pair = (leaf, other)
        if self._compared == (self._pair, tree.nodes):
            return  # somebody looks at another step of the same two
        self._compared = (self._pair, tree.nodes)

        def job(cancel: Any, publish: Any) -> None:
            # late: torch; the page is painted before it is imported
            from txpanel.page.timeline.branch_comparison import compared

            found = compared(model, tree, leaf, other)
            publish(lambda: self.component.param.update(compare=found))

        worker.submit(job)

    def _send_line(self, tree: TokenTree, *, whole: bool) -> None:
        line = tree.line
        grown = len(line) > len(self._sent) and line[: len(self._sent)] == self._sent
        if whole or not grown:
            if line != self._sent or tree.nodes != self._shots or self.component.added:
                self.component.param.update(line=[_token(tree, n) for n in line], added={})
            self._sent = line
        else:
            begin = len(self._sent)
            self.component.added = {"begin": begin, "items": [_token(tree, n) for n in line[begin:]]}
            self._sent = line
        self._shots = tree.nodes

    def _draw_prompt(self, *_events: Any) -> None:
        state = self._state
        if state is None or state.trace is None or state.stale:
            return
        if not (state.tree.nodes or state.chat):
            self.component.prompt = {}  # the prompt itself says it
            return
        tokens, model = state.trace.tokens, state.trace.model
        size = len(state.tree.start) or len(tokens.ids)
        begin = max(0, size - PROMPT)
        special = set(model.tokenizer.all_special_ids) if model is not None else set()
        ids = tuple(tokens.ids[:size].tolist())
        if ids != self._scored_ids:
            self._forget()
        shown = {
            "strings": tokens.strings[begin:size],
            "special": [i for i, token in enumerate(tokens.ids[begin:size].tolist()) if token in special],
            "more": begin,
        }
        if shown != self.component.prompt:
            self.component.prompt = shown
        if not state.busy and ids != self._scored_ids:
            self._scored_ids = ids
            self._hear(state.trace, begin, size)

    def _forget(self) -> None:
        """The probabilities of another prompt: they come when this one's are computed, which waits until nothing is generated."""
        self._scored_ids = ()
        if self._worker is not None:
            self._worker.cancel()
        if self.component.scored:
            self.component.scored = []

    def _hear(self, trace: Trace, begin: int, size: int) -> None:
        """Computes the probabilities of the prompt's tokens in a thread: a row of logits for each."""

        def job(cancel: Any, publish: Any) -> None:
            # late: torch; the page is painted before it is imported
            from txpanel.session.tree_nodes import prompt_logprobs

            found = [list(each) if each else None for each in prompt_logprobs(trace, begin, size)]
            publish(lambda: self.component.param.update(scored=found))

        if trace.model is not None and self._worker is not None:
            self._worker.submit(job)

    def _draw_next(self, *_events: Any) -> None:
        state = self._state
        if state is None or not state.tree.nodes or state.stale:
            return
        sample, trace = state.sampled, state.trace
        if sample is None or trace is None or trace.model is None:
            self.component.next = {}
            return
        after = state.tree.following(state.tree.at)
        self.component.next = _next(sample, trace.model, state.tree.node(after) if after is not None else None)


def _token(tree: TokenTree, node: int) -> list[Any]:
    token_node = tree.node(node)
    bits = token_node.surprisal if token_node.model_p > 0 else None
    return [
        node,
        token_node.string,
        token_node.special,
        token_node.model_p,
        token_node.p,
        token_node.rank,
        bits,
        token_node.settings.seed,
        token_node.draw is not None,
    ]


def _next(sample: Sample, model: Any, taken: TokenNode | None) -> dict[str, Any]:
    """What could come next: the likeliest tokens and their intervals, the one that came, and why."""
    from txpanel.decoding.cumulative import bounds  # late: torch; the page is painted before it is imported

    at = bounds(sample.probabilities[sample.order])
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


def _cut_off(sample: Sample, n: int, taken: TokenNode | None) -> list[int]:
    """The likeliest tokens, by the model, that the settings removed; with the one that came, if it is among them."""
    logits, removed = sample.stages[0].logits, sample.removed >= 0
    gone = np.flatnonzero(removed)
    best = gone[np.argsort(-logits[gone], kind="stable")[: max(n, 0)]].tolist()
    more = [taken.token] if taken is not None and removed[taken.token] and taken.token not in best else []
    return [int(token) for token in best + more]


def _why(sample: Sample, model: Any, taken: TokenNode | None) -> str:
    """Why the next token is what it is, in words."""
    best = int(sample.order[0])
    drawn, likeliest = (visible(text) for text in model.tokens([sample.token, best]).strings)
    p = sample.probabilities
    facts = {
        "seed": sample.draw.seed,
        "u": number(sample.draw.uniform, 4),
        "drawn": drawn,
        "p": percent(float(p[sample.token])),
    }
    facts |= {"best": likeliest, "best_p": percent(float(p[best])), "rank": sample.draw.rank + 1}
    if taken is not None and taken.draw is None:
        return _("“{taken}” was chosen by hand. The random number u = {u} gives “{drawn}” ({p}).").format(
            taken=visible(taken.string), **facts
        )
    if taken is not None and taken.token != sample.token and taken.settings == sample.settings:
        return _(
            "The draw gave “{taken}”. u = {u} is so close to the end of its interval that rounding decides; here it "
            "falls on “{drawn}”."
        ).format(taken=visible(taken.string), **facts)
    if taken is not None and taken.token != sample.token:
        return _(
            "With {changes}, the same number u = {u} falls on “{drawn}” ({p}) instead of “{taken}” ({was})."
        ).format(changes=_changes(taken, sample), taken=visible(taken.string), was=percent(taken.p), **facts)
    if p[best] == 1:
        return _(
            "The settings leave only one token, “{drawn}”, so it is always drawn. The model gives it {own}."
        ).format(own=percent(float(sample.stages[0].probabilities[best])), **facts)
    cut = _first_cut(sample, model)
    if sample.token == best:
        return cut + _(
            "Seed {seed} gives u = {u}, which falls into the interval of the most likely token, “{drawn}” ({p})."
        ).format(**facts)
    return cut + _(
        "The most likely token, “{best}”, has {best_p}: only numbers below {end} fall into its interval. Seed "
        "{seed} gives u = {u}, which falls into the interval of “{drawn}” ({p}, rank {rank})."
    ).format(end=number(float(p[best]), 3), **facts)


def _first_cut(sample: Sample, model: Any) -> str:
    """What became of the token that the model itself holds likeliest, if a stage removed it; empty if not."""
    first = int(sample.stages[0].logits.argmax())
    stage = sample.removed_by(first)
    if stage is None:
        return ""
    facts = {
        "first": visible(model.tokens([first]).strings[0]),
        "p": percent(float(sample.stages[0].probabilities[first])),
    }
    text = _("The model's most likely token, “{first}” ({p}), was cut off by {stage}.")
    return text.format(stage=stage_label(stage), **facts) + " "


def _changes(taken: TokenNode, sample: Sample) -> str:
    """The settings that differ from those with which the token was drawn."""
    from txpanel.decoding import FIELDS  # late: torch; the page is painted before it is imported

    old, new = taken.settings, sample.settings
    names = [name for name in FIELDS if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name} {getattr(old, name):g} → {getattr(new, name):g}" for name in names)


def _branches(tree: TokenTree) -> list[dict[str, Any]]:
    """All branches, oldest first; none while there is only one."""
    leaves = tree.leaves
    if len(leaves) < 2:
        return []
    shared, current = tree.trunk, tree.line
    found = []
    for leaf in leaves:
        path = tree.path(leaf)
        fork = _common(path, current) if leaf != tree.leaf else shared
        tail = [tree.node(n).string for n in path[shared:]]
        found.append(
            {
                "leaf": leaf,
                "fork": fork,
                "shared": shared,
                "shared_counted": tokens_counted(shared),
                "counted": tokens_counted(len(path)),
                "n": len(path),
                "logp": tree.log_probability(leaf),
                "tail": tail[:TAIL],
                "more": max(0, len(tail) - TAIL),
                "current": leaf == tree.leaf,
            }
        )
    return found


def _common(a: list[int], b: list[int]) -> int:
    """How many nodes two paths share, from the prompt on."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
