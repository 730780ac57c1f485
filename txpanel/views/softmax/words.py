"""The texts of the softmax view: the heads of its table, and the four numbers that stand for themselves."""

from __future__ import annotations

from typing import Any

from txpanel.messages import _
from txpanel.toolkit.format import count, number, percent
from txpanel.views.distribution import Distribution

__all__ = ["facts", "table_words"]


def facts(found: Distribution, best: str) -> list[Any]:
    """Label, value, note and tensor of each; `best` is the likeliest token."""
    choices = 2.0**found.entropy
    return [
        [
            _("largest logit"),
            number(found.max, 5),
            _("of {token}; taken off all logits").format(token=f"“{best.strip() or best}”"),
            "probs.max",
        ],
        [
            _("sum of the powers"),
            number(found.sum, 5),
            _("of e^(logit − max), over {n} tokens").format(n=count(found.size)),
            "probs.sum",
        ],
        [
            _("likeliest"),
            percent(float(found.probabilities[found.largest])),
            _("1 ÷ {sum}: its power is e⁰ = 1").format(sum=number(found.sum, 5)),
            "probs",
        ],
        [
            _("entropy"),
            _("{bits} bits").format(bits=number(found.entropy, 3)),
            _("as uncertain as among {n} equally likely tokens").format(n=number(choices, 3)),
            "probs.entropy",
        ],
    ]


def table_words() -> dict[str, str]:
    """Every text of the table."""
    return {
        "token": _("token"),
        "logit": _("logit"),
        "from_model": _("from the model"),
        "shifted": _("minus max"),
        "power": _("e to that"),
        "power_note": _("between 0 and 1"),
        "p": _("probability"),
        "all": _("all tokens"),
        "why": _("why this number?"),
        "id": _("token id {id}"),
        "caption": _("softmax of the likeliest tokens"),
    }
