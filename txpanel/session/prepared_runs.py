"""What a newcomer sees: the run of the default text, made once per model and process, so that no session begins by waiting for it.

`prepare` makes it when the model has come; `at_hand` says whether a model and its run on a text can be shown at once, on the thread of the
event loop: nothing is loaded, run or waited for there.
"""

from __future__ import annotations

import weakref
from typing import Any

from txpanel.models.language_model import LanguageModel
from txpanel.session import jobs
from txpanel.session.shared import kept_model, kept_trace, shared_trace

__all__ = ["at_hand", "look_into_all", "prepare", "renew"]

SMALL = 2e9
"""Bytes of weights up to which all blocks are run again: less than a second."""

_texts: weakref.WeakKeyDictionary[LanguageModel, str] = weakref.WeakKeyDictionary()


def prepare(model: LanguageModel, text: str) -> None:
    """Runs a model on the text that its newcomers see, and looks into the block that they see.

    Raises:
        TxpanelError: in words.
    """
    _texts[model] = text
    jobs.prepare(shared_trace(model, text), 0)


def look_into_all(model: LanguageModel) -> None:
    """Runs every block of such a run again once, so that pictures of all of them find their numbers; not of a large model.

    Raises:
        TxpanelError: in words.
    """
    if model in _texts and model.nbytes <= SMALL:
        trace = shared_trace(model, _texts[model])
        for layer in range(trace.anatomy.n_layers):
            jobs.prepare(trace, layer)


def renew() -> None:
    """Runs each default text again, after the stores were emptied.

    Raises:
        TxpanelError: as `prepare`.
    """
    for model, text in list(_texts.items()):
        prepare(model, text)


def at_hand(name: str, text: str, layer: int, **options: Any) -> LanguageModel | None:
    """The model of a name, if it is loaded, its run on `text` is kept, and block `layer` of that run has been replayed; else None.

    Args:
        options: ``device`` and ``dtype``, as `txpanel.session.shared.shared_model` takes them.
    """
    model = kept_model(name, **options)
    trace = kept_trace(model, text) if model is not None else None
    if trace is None:
        return None
    return model if trace.has_replayed(min(layer, trace.anatomy.n_layers - 1)) else None
