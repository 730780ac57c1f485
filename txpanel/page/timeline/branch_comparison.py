"""Two branches of a film side by side: where they part, what the model held possible there, and how each goes on."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txpanel.messages import _
from txpanel.page.top_bar.words import tokens_counted
from txpanel.toolkit.format import number, percent

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.session.token_tree import Film, Shot

__all__ = ["compared"]

CHOICES = 6
"""Likeliest tokens at the parting; the two that were taken come with them."""
MOST = 60
"""Tokens after the parting that are shown of each branch."""
BEFORE = 8
SIDES = ("A", "B")

Row = npt.NDArray[np.float64]


def compared(model: LanguageModel, film: Film, a: int, b: int) -> dict[str, Any]:
    """Everything that the page shows of two branches; one forward pass if the run at the parting is not kept any more.

    Args:
        a, b: their last nodes.

    Raises:
        IndexError: there is no such node, or one branch is a part of the other. TooLong, Unsupported: in words.
    """
    fork = film.fork(a, b)
    shared = film.path(fork)
    own = [[film.shot(n) for n in film.path(leaf)[len(shared) :]] for leaf in (a, b)]
    picks = [shots[0] for shots in own]
    return {
        "shared": len(shared),
        "shared_counted": tokens_counted(len(shared)),
        "before": _before(model, film, shared),
        "sides": [_side(film, fork, leaf, shots) for leaf, shots in zip((a, b), own, strict=True)],
        "settings": _differing(*own),
        "why": [_why(name, pick) for name, pick in zip(SIDES, picks, strict=True)],
        **_parting(model, [*film.start, *(film.shot(n).token for n in shared)], picks),
    }


def _before(model: LanguageModel, film: Film, shared: list[int]) -> list[str]:
    ids = [*film.start, *(film.shot(n).token for n in shared)][-BEFORE:]
    more = len(film.start) + len(shared) > BEFORE
    return [*(["… "] if more else []), *model.tokens(ids).strings]


def _side(film: Film, fork: int, leaf: int, shots: list[Shot]) -> dict[str, Any]:
    return {
        "leaf": leaf,
        "token": shots[0].token,
        "tokens": [[s.string, s.special, s.model_p, s.surprisal if s.model_p > 0 else None] for s in shots[:MOST]],
        "more": max(0, len(shots) - MOST),
        "n": len(shots),
        "counted": tokens_counted(len(shots)),
        "logp": film.log_probability(leaf) - film.log_probability(fork),
        "all": film.log_probability(leaf),
    }


def _differing(a: list[Shot], b: list[Shot]) -> list[list[str]]:
    """Settings in which the branches differ after the parting, with each turn of a knob; of the seeds, the first."""
    from txpanel.decoding import FIELDS

    found = []
    for name in FIELDS:
        sides = [[f"{getattr(shot.settings, name):g}" for shot in shots] for shots in (a, b)]
        texts = [values[0] if name == "seed" else " → ".join(v for v, _n in groupby(values)) for values in sides]
        if texts[0] != texts[1]:
            found.append([name, *texts])
    return found


def _why(side: str, pick: Shot) -> str:
    facts = {"side": side, "token": pick.string, "p": percent(pick.p), "model_p": percent(pick.model_p)}
    if pick.draw is None:
        return _("{side}: somebody chose “{token}”; the model gave it {model_p}.").format(**facts)
    text = _("{side}: seed {seed} gave u = {u}, and that falls on the piece of “{token}” ({p}).")
    return text.format(seed=pick.draw.seed, u=number(pick.draw.uniform, 4), **facts)


def _parting(model: LanguageModel, ids: list[int], picks: list[Shot]) -> dict[str, Any]:
    """The distribution from which both went on, as columns: the model's, and what the settings made of it."""
    from txpanel.session.jobs import drawn
    from txpanel.session.shared import shared_trace

    trace = shared_trace(model, ids)
    logits = trace.tensor("logits").double().numpy()
    powers = np.exp(logits - logits.max())
    own: Row = powers / powers.sum()
    best = np.argsort(-own, kind="stable")
    rows = [int(token) for token in best[:CHOICES]]
    rows += [shot.token for shot in picks if shot.token not in rows]
    rows = sorted(dict.fromkeys(rows), key=lambda token: -own[token])
    columns = [_column(_("the model's p"), own, rows)]
    samples = [drawn(trace, shot.settings)[0] for shot in picks]
    after = [sample.probabilities if sample is not None else np.zeros_like(own) for sample in samples]
    if not np.array_equal(after[0], after[1]):
        columns += [_column(_("drawn from: A"), after[0], rows), _column(_("drawn from: B"), after[1], rows)]
    elif not np.allclose(after[0], own, rtol=1e-5, atol=0):
        columns += [_column(_("drawn from"), after[0], rows)]
    names = model.tokens(rows).strings
    return {"choices": list(zip(rows, names, strict=True)), "columns": columns, "rest": len(own) - len(rows)}


def _column(title: str, p: Row, rows: list[int]) -> dict[str, Any]:
    return {"title": title, "p": [float(p[token]) for token in rows], "rest": max(0.0, 1.0 - float(p[rows].sum()))}
