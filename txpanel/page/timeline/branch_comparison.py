"""Two branches of a tree side by side: the node at which they differ first, the distribution there, and how each goes on."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txpanel.decoding.softmax import softmax
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.page.top_bar.words import tokens_counted
from txpanel.toolkit.format import number, percent

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.session.token_tree import TokenNode, TokenTree

__all__ = ["compared"]

CHOICES = 6
"""Most likely tokens listed for the node where two branches part; the two that were taken are added."""
MOST = 60
"""Tokens after the parting that are shown of each branch."""
BEFORE = 8
SIDES = ("A", "B")

Row = npt.NDArray[np.float64]


def compared(model: LanguageModel, tree: TokenTree, a: int, b: int) -> dict[str, Any]:
    """Everything that the page shows of two branches; one forward pass if the run at the parting is not kept any more.

    Args:
        a, b: their last nodes.

    Raises:
        IndexError: there is no such node, or one branch is a part of the other. TooLong, Unsupported: in words.
    """
    fork = tree.fork(a, b)
    shared = tree.path(fork)
    own = [[tree.node(n) for n in tree.path(leaf)[len(shared) :]] for leaf in (a, b)]
    picks = [nodes[0] for nodes in own]
    return {
        "shared": len(shared),
        "shared_counted": tokens_counted(len(shared)),
        "before": _before(model, tree, shared),
        "sides": [_side(tree, fork, leaf, nodes) for leaf, nodes in zip((a, b), own, strict=True)],
        "settings": _differing(*own),
        "same": _same(picks),
        "why": [_why(name, pick) for name, pick in zip(SIDES, picks, strict=True)],
        **_parting(model, [*tree.start, *(tree.node(n).token for n in shared)], picks),
    }


def _before(model: LanguageModel, tree: TokenTree, shared: list[int]) -> list[str]:
    ids = [*tree.start, *(tree.node(n).token for n in shared)][-BEFORE:]
    more = len(tree.start) + len(shared) > BEFORE
    return [*(["… "] if more else []), *model.tokens(ids).strings]


def _side(tree: TokenTree, fork: int, leaf: int, nodes: list[TokenNode]) -> dict[str, Any]:
    return {
        "leaf": leaf,
        "token": nodes[0].token,
        "tokens": [[s.string, s.special, s.model_p, s.surprisal if s.model_p > 0 else None] for s in nodes[:MOST]],
        "more": max(0, len(nodes) - MOST),
        "n": len(nodes),
        "counted": tokens_counted(len(nodes)),
        "logp": tree.log_probability(leaf) - tree.log_probability(fork),
        "all": tree.log_probability(leaf),
    }


def _differing(a: list[TokenNode], b: list[TokenNode]) -> list[list[str]]:
    """Settings in which the branches differ after the parting, with each change on the way; of the seeds, the first."""
    from txpanel.decoding import FIELDS  # late: torch; the page is painted before it is imported

    found = []
    for name in FIELDS:
        sides = [[f"{getattr(token_node.settings, name):g}" for token_node in nodes] for nodes in (a, b)]
        texts = [values[0] if name == "seed" else " → ".join(v for v, _n in groupby(values)) for values in sides]
        if texts[0] != texts[1]:
            found.append([name, *texts])
    return found


def _same(picks: list[TokenNode]) -> str:
    """The sentence where no setting differs: draws with the same seed give the same token, so one of the two was chosen by hand."""
    chosen = [name for name, pick in zip(SIDES, picks, strict=True) if pick.draw is None]
    if len(chosen) == len(SIDES):
        return _("Where they split, both tokens were chosen by hand. The settings are the same.")
    if chosen:
        said = _(
            "Where they split, the token of {side} was chosen by hand and the other one was drawn. The settings are "
            "the same."
        )
        return said.format(side=chosen[0])
    return _("Both were drawn with the same settings.")


def _why(side: str, pick: TokenNode) -> str:
    facts = {"side": side, "token": visible(pick.string), "p": percent(pick.p), "model_p": percent(pick.model_p)}
    if pick.draw is None:
        return _("{side}: “{token}” was chosen by hand; the model gave it {model_p}.").format(**facts)
    text = _("{side}: seed {seed} gave u = {u}, which falls into the interval of “{token}” ({p}).")
    return text.format(seed=pick.draw.seed, u=number(pick.draw.uniform, 4), **facts)


def _parting(model: LanguageModel, ids: list[int], picks: list[TokenNode]) -> dict[str, Any]:
    """The distribution from which both went on, as columns: the model's, and what the settings made of it."""
    from txpanel.session.jobs import drawn  # late: torch; the page is painted before it is imported
    from txpanel.session.shared import shared_trace

    trace = shared_trace(model, ids)
    own: Row = softmax(trace.tensor("logits").double().numpy())
    best = np.argsort(-own, kind="stable")
    rows = [int(token) for token in best[:CHOICES]]
    rows += [token_node.token for token_node in picks if token_node.token not in rows]
    rows = sorted(dict.fromkeys(rows), key=lambda token: -own[token])
    columns = [_column(_("the model"), own, rows)]
    samples = [drawn(trace, token_node.settings)[0] for token_node in picks]
    after = [sample.probabilities if sample is not None else np.zeros_like(own) for sample in samples]
    if not np.array_equal(after[0], after[1]):
        columns += [
            _column(_("with the settings of A"), after[0], rows),
            _column(_("with the settings of B"), after[1], rows),
        ]
    elif not np.allclose(after[0], own, rtol=1e-5, atol=0):
        columns += [_column(_("with the settings"), after[0], rows)]
    names = model.tokens(rows).strings
    return {"choices": list(zip(rows, names, strict=True)), "columns": columns, "rest": len(own) - len(rows)}


def _column(title: str, p: Row, rows: list[int]) -> dict[str, Any]:
    others = np.delete(p, rows)  # summed, not what 1 leaves over: where all others are cut off that is a rounding error
    return {"title": title, "p": [float(p[token]) for token in rows], "rest": float(others.sum())}
