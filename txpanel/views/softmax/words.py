"""The words of the softmax view: its sentences and formulas, the heads of its table, and the four numbers above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.text import Paragraph, rich
from txpanel.views.distribution import Distribution, token_names

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["asked", "facts", "formulas", "lead", "search_words", "table_words"]


def asked(trace: Trace, position: int) -> str:
    """The question that the probabilities at a token answer; with ``{token}`` in it."""
    if not trace.anatomy.fills:
        return _("What comes after {token}?")
    return (
        _("Which token is behind the mask?")
        if position in trace.gaps
        else _("Which token does the model predict at the position of {token}?")
    )


def lead(trace: Trace, found: Distribution) -> list[Paragraph]:
    """What a softmax does, and the likeliest token here."""
    return rich(
        _(
            "The model gives each of the {n} tokens in its vocabulary a number, the <b>logit</b>. The softmax turns "
            "logits into probabilities: subtract the largest logit, take the exponential of each, divide by their "
            "sum. The probabilities add up to 1.\n\nMost likely here: <token>{best}</token> with <b>{p}</b>."
        ),
        n=count(found.size),
        best=token_names(trace, [found.largest])[0],
        p=percent(float(found.probabilities[found.largest])),
    )


def search_words(trace: Trace, found: Distribution, hits: list[int]) -> list[Paragraph]:
    """Rank, logit and probability of the first token that a search found; or that it found none."""
    if not hits:
        return rich(_("<muted>No token of this model contains this text.</muted>"))
    first = hits[0]
    return rich(
        _("<token>{token}</token> has rank {rank} of {n}: logit {logit}, probability <b>{p}</b>."),
        token=token_names(trace, [first])[0],
        rank=count(int(found.ranks[first]) + 1),
        n=count(found.size),
        logit=number(float(found.logits[first]), 5),
        p=percent(float(found.probabilities[first])),
    )


def formulas(trace: Trace, size: int) -> list[str]:
    """LaTeX of the model's logits, of the softmax over `size` tokens, of entropy and surprisal."""
    operation = trace.operation("logits")
    own = [rf"\text{{logits:}}\quad {operation.formula}"] if operation is not None and operation.formula else []
    return [
        *own,
        rf"p_i = \frac{{e^{{x_i - m}}}}{{Z}},\quad m = \max_j x_j,\quad Z = \sum_{{j=1}}^{{{size}}} e^{{x_j - m}}",
        r"H = -\sum_i p_i \log_2 p_i"
        + (
            ""
            if trace.anatomy.fills
            else r",\qquad \text{surprisal}_t = -\log_2 p(\text{token}_t \mid \text{tokens before})"
        ),
    ]


def facts(found: Distribution, best: str) -> list[Any]:
    """The four numbers above the table, each as label, value, note and tensor; `best` is the likeliest token."""
    choices = 2.0**found.entropy
    return [
        [
            _("largest logit"),
            number(found.max, 5),
            _("of {token}; subtracted from all logits").format(token=f"“{visible(best)}”"),
            "probs.max",
        ],
        [
            _("sum of the exponentials"),
            number(found.sum, 5),
            _("e^(logit − max), summed over {n} tokens").format(n=count(found.size)),
            "probs.sum",
        ],
        [
            _("most likely"),
            percent(float(found.probabilities[found.largest])),
            _("1 ÷ {sum}: its exponential is e⁰ = 1").format(sum=number(found.sum, 5)),
            "probs",
        ],
        [
            _("entropy"),
            _("{bits} bits").format(bits=number(found.entropy, 3)),
            _("the same entropy as {n} equally likely tokens").format(n=number(choices, 3)),
            "probs.entropy",
        ],
    ]


def table_words() -> dict[str, str]:
    """Every text of the table."""
    return {
        "token": _("token"),
        "logit": _("logit"),
        "from_model": _("from the model"),
        "shifted": _("logit − max"),
        "power": _("e^(logit − max)"),
        "power_note": _("between 0 and 1"),
        "p": _("probability"),
        "all": _("all tokens"),
        "why": _("why this number?"),
        "id": _("token id {id}"),
        "caption": _("softmax of the most likely tokens"),
    }
