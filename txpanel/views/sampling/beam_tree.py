"""The tree of a beam search: a column for each step, the best on top, and what became of each continuation."""

from __future__ import annotations

import param

from txpanel.toolkit.component import Teller

__all__ = ["BeamTree"]


class BeamTree(Teller):
    """Draws a beam search and asks for one; ``on_message(kind, data)`` hears what a person does.

    That is ``"search"`` (beams, tokens, penalty), ``"stop"`` and ``"take"`` (node, whose text is to be appended).
    Nothing is computed here: every number comes with `tree`.
    """

    tree = param.Dict(
        default={},
        doc="beams, looked_at, penalty; nodes: [parent, step, name, log-probability, score, state, lived_until] each; "
        "hypotheses: {name, score, node}, best first. Empty: nothing was searched yet.",
    )
    most = param.Dict(default={}, doc="beams, tokens: the most that this server gives to a search; 0: any number.")
    status = param.Dict(default={}, doc="busy, text (how far, or what went wrong).")
    words = param.Dict(default={}, doc="The texts.")

    _module = "beam_tree.js"
    _styles = "beam_tree.css"
