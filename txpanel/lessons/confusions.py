"""The ten confusions that people bring to a language model, each with a name that feedback can say."""

from __future__ import annotations

from txpanel.messages import _

__all__ = ["CONFUSIONS", "confusion"]

CONFUSIONS = (
    "looks-up",
    "plans",
    "takes-the-top",
    "temperature-clever",
    "query-key",
    "attention-importance",
    "first-token",
    "probability-truth",
    "one-neuron-one-thing",
    "computed-again",
)
"""Ids, as lesson files name them."""


def confusion(name: str) -> str:
    """What the confusion says, in the language in use; empty for an empty id."""
    said = {
        "looks-up": _("The model looks answers up."),
        "plans": _("The model plans the whole sentence."),
        "takes-the-top": _("The most likely token is always taken."),
        "temperature-clever": _("A higher temperature makes the model cleverer."),
        "query-key": _("Query and key are the same thing."),
        "attention-importance": _("A large attention weight means that the token is important."),
        "first-token": _("Many heads attend to the first token because it matters most."),
        "probability-truth": _("The probability says how true the text is."),
        "one-neuron-one-thing": _("Each neuron means one thing."),
        "computed-again": _("Everything is computed again for each new token."),
    }
    return said.get(name, "")
