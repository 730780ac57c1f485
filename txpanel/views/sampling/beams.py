"""A beam search on request in the sampling view, with its tree."""

from __future__ import annotations

import math
from typing import Any

from txpanel.decoding.beams import BeamSearch, beam_search
from txpanel.decoding.stages import SPECS
from txpanel.errors import Cancelled
from txpanel.messages import _
from txpanel.models.allowance import working_under
from txpanel.models.progress import Progress
from txpanel.session.jobs import sentence
from txpanel.toolkit.card import Table, picture, provenance
from txpanel.toolkit.incoming import heard
from txpanel.views.background import background
from txpanel.views.base import View
from txpanel.views.sampling.beam_tree import BeamTree

__all__ = ["Beams"]


class Beams:
    """The picture of a beam search: it runs in a thread, can be stopped, and is emptied when another run comes.

    Args:
        view: whose state is searched from; it calls `reset` for each run and `stop` at its end.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.found: BeamSearch | None = None
        self._last: tuple[Any, BeamSearch] | None = None  # the newest search, with its model
        self._worker = background()
        self.tree = BeamTree(on_message=self._on_message, words=_words(), sizing_mode="stretch_width", margin=0)
        self.picture = picture(
            _("Beam search: several texts at once, without a random draw"),
            _("runs the model at each step for every beam, so it starts only on request"),
            self.tree,
            table=self._rows,
            name="beams",
            source=self._source,
            styles={"flex": "1 1 100%", "min-width": "0"},
        )

    def reset(self) -> None:
        """Another run: the search of the old one is hidden. It is shown again when that run comes back."""
        self._worker.cancel()
        self.found = None
        trace, limits = self.view.state.trace, self.view.state.limits
        self.picture.visible = trace.model is not None and not trace.anatomy.fills
        self.tree.most = {"beams": limits.max_beams, "tokens": limits.max_new_tokens}
        if self._last is not None and self._last[0] is trace.model and self._last[1].ids == tuple(trace.tokens.ids):
            self._show(self._last[1])
            return
        self.tree.param.update(tree={}, status={})
        self.picture.tools.visible = False  # there are no numbers before a search

    def stop(self) -> None:
        """Ends a search within one step."""
        self._worker.cancel()
        self.tree.status = {"text": _("Stopped.")} if self.tree.status.get("busy") else self.tree.status

    @heard
    def _on_message(self, kind: str, data: dict[str, Any]) -> None:
        """What a person did. Nonsense from the browser changes nothing."""
        state = self.view.state
        if state is None or state.trace is None or state.trace.model is None:
            return
        wanted = _inside(data)
        if kind == "stop":
            self.stop()
        elif kind == "search" and wanted:
            self._search(**wanted)
        elif kind == "take":
            self._take(data.get("node"))

    def _take(self, node: Any) -> None:
        """The text of a continuation becomes part of what was generated; in the middle of that it is another branch."""
        found = self.found
        if found is not None and isinstance(node, int) and 0 <= node < len(found.nodes):
            self.view.state.append([one.token for one in found.path(node)])

    def _search(self, beams: int, tokens: int, penalty: float) -> None:
        state = self.view.state
        model, ids = state.trace.model, [int(token) for token in state.trace.tokens.ids]
        looks_back = {spec.key: getattr(state, spec.key) for spec in SPECS if spec.looks_back}

        def job(cancel: Any, publish: Any) -> None:
            def tell(progress: Progress) -> None:
                publish(lambda: self._say(str(progress), busy=True))

            try:
                with working_under(state.allowed(cancel)):
                    found = beam_search(
                        model, ids, beams, tokens, length_penalty=penalty, cancel=cancel, progress=tell, **looks_back
                    )
            except Cancelled:
                return
            except Exception as error:
                said = sentence(error)
                publish(lambda: self._say(said))
            else:
                publish(lambda: self._show(found))

        self._say(_("Searching"), busy=True)
        self._worker.submit(job)

    def _say(self, text: str, *, busy: bool = False) -> None:
        self.tree.status = {"busy": busy, "text": text}

    def _show(self, found: BeamSearch) -> None:
        if self.view.state is None:
            return
        self.found, self._last = found, (self.view.state.trace.model, found)
        nodes = [
            [node.parent, node.step, node.string, node.log_probability, node.score, node.state, node.lived_until]
            for node in found.nodes
        ]
        hypotheses = [
            {"name": self._text(found, one.node), "score": one.score, "node": one.node} for one in found.hypotheses
        ]
        shape = {"beams": found.n_beams, "looked_at": found.looked_at, "penalty": found.length_penalty}
        self.tree.param.update(tree={**shape, "nodes": nodes, "hypotheses": hypotheses}, status={})
        self.picture.tools.visible = True
        self.picture.tools.changed()

    def _text(self, found: BeamSearch, node: int) -> str:
        return "".join(one.string for one in found.path(node))

    def _source(self) -> dict[str, str]:
        found = self.found
        asked = {"beams": str(found.n_beams), "length penalty": str(found.length_penalty)} if found else {}
        return {**provenance(self.view.state, "logits"), **asked}

    def _rows(self) -> Table:
        """Every continuation that was looked at."""
        found, nodes = self.found, self.found.nodes if self.found else ()
        kinds = {"kept": _("continued"), "dropped": _("dropped"), "ended": _("finished")}
        columns: dict[str, Any] = {
            _("step"): [node.step + 1 for node in nodes],
            _("token"): [node.string for node in nodes],
            _("id"): [node.token for node in nodes],
            _("text"): [self._text(found, node.id) for node in nodes] if found else [],
            _("log p"): [node.log_probability for node in nodes],
            _("sum of log p"): [node.score for node in nodes],
            _("result"): [kinds[node.state] for node in nodes],
            _("survives until step"): [node.lived_until + 1 for node in nodes],
        }
        return Table.of(_("all continuations that were compared, step by step, best first"), **columns)


def _inside(data: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a search from a browser's message, each within its bounds; empty if one is not a number."""
    found: dict[str, Any] = {}
    for name, least, most in (("beams", 2, 8), ("tokens", 1, 32), ("penalty", -5.0, 5.0)):
        value = data.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            return {}
        found[name] = type(least)(min(most, max(least, value)))
    return found


def _words() -> dict[str, str]:
    return {
        "beams": _("beams"),
        "beams_title": _("how many texts are continued after each step"),
        "most": _("this server: at most {n}"),
        "tokens": _("tokens"),
        "penalty": _("length penalty"),
        "penalty_title": _(
            "the sum of a finished text is divided by its length raised to this power; above 0 favours long texts"
        ),
        "search": _("Search"),
        "stop": _("Stop"),
        "picture": _("the search tree: one column per step, best on top"),
        "is_best": _("the best text"),
        "is_kept": _("continued"),
        "is_dropped": _("dropped"),
        "is_ended": _("finished"),
        "step": _("step {i}"),
        "choose": _("Click a token, or use the arrow keys, to see its sum."),
        "sum": _("log p = {sum} = {score}."),
        "fate_ended": _("Finished: the sum divided by {n} to the power of {penalty} is the score {score}."),
        "fate_dropped": _("Dropped: rank {row} in its step, and only the best {beams} unfinished texts continue."),
        "fate_lived": _("Continued; at least one continuation survives until step {step}."),
        "fate_died": _("Continued, but in step {step} all its continuations were dropped."),
        "take": _("Append this text"),
        "take_title": _("Append these tokens; in the middle of a generated text they start a new branch"),
        "results": _("Resulting texts and their scores"),
    }
