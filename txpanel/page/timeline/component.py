"""The timeline of what was generated: scrub, branch, compare."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["Timeline"]


class Timeline(Messenger):
    """One chip per token, a track to scrub on, what could come next here, and the branches.

    A token of `line` is a list: node, text, whether it is special, the model's p, p after the settings, rank, surprisal in
    bits, seed, whether it was drawn.
    """

    prompt = param.Dict(
        default={}, doc="strings, special (indices), more: how many tokens stand before those that are shown."
    )
    scored = param.List(
        default=[], doc="Of each token of the prompt that is shown: p, rank, bits; None for the very first."
    )
    line = param.List(default=[], doc="The tokens of the current line.")
    added = param.Dict(
        default={}, doc="While it generates: begin (index in the line), items. At rest they are in `line`."
    )
    place = param.Dict(default={}, doc="at, leaf: nodes. busy.")
    next = param.Dict(default={}, doc="choices (id, text, p, low, high), taken, drawn, uniform, sentence, rest.")
    ended = param.String(default="", doc="Why generating ended at the end of this line.")
    ended_brief = param.String(default="", doc="The same in a few words, for the line that is not unfolded.")
    branches = param.List(default=[], doc="leaf, fork (tokens shared with this line), n, logp, tail (texts), current.")
    compare = param.Dict(
        default={},
        doc="Two branches side by side, as `txpanel.page.timeline.branch_comparison.compared` makes it; empty: none.",
    )
    words = param.Dict(default={}, doc="All texts of the strip.")

    _module = "timeline.js"
    _styles = "timeline.css"
