"""txpanel: open up a Hugging Face text-generation transformer and see how it gets to the next token.

Names are imported when they are first used, so ``import txpanel`` costs nothing and needs neither torch nor panel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from txpanel.compat import old_names

__version__ = "0.1.0"

old_names.install()

# public name -> (module, name in it); "" is the module itself
_PUBLIC = {
    "load": ("txpanel.models.loading", "load"),
    "LanguageModel": ("txpanel.models.language_model", "LanguageModel"),
    "Trace": ("txpanel.tracing", "Trace"),
    "record": ("txpanel.tracing", "record"),
    "open_trace": ("txpanel.tracing", "open_trace"),
    "head_scores": ("txpanel.tracing.head_scores", "head_scores"),
    "generate": ("txpanel.decoding.generation", "generate"),
    "beam_search": ("txpanel.decoding.beams", "beam_search"),
    "ModelState": ("txpanel.session.state", "ModelState"),
    "View": ("txpanel.views.base", "View"),
    "explain": ("txpanel.page.dashboard", "explain"),
    "errors": ("txpanel.errors", ""),
    "lessons": ("txpanel.lessons", ""),
    "messages": ("txpanel.messages", ""),
    "models": ("txpanel.models", ""),
    "sampling": ("txpanel.sampling", ""),
    "testing": ("txpanel.testing", ""),
    "tracing": ("txpanel.tracing", ""),
    "views": ("txpanel.views", ""),
}

__all__ = [
    "LanguageModel",
    "ModelState",
    "Trace",
    "View",
    "__version__",
    "beam_search",
    "errors",
    "explain",
    "generate",
    "head_scores",
    "lessons",
    "load",
    "messages",
    "models",
    "open_trace",
    "record",
    "sampling",
    "testing",
    "tracing",
    "views",
]

if TYPE_CHECKING:
    from txpanel import errors, lessons, messages, models, sampling, testing, tracing, views
    from txpanel.decoding.beams import beam_search
    from txpanel.decoding.generation import generate
    from txpanel.models.language_model import LanguageModel
    from txpanel.models.loading import load
    from txpanel.page.dashboard import explain
    from txpanel.session.state import ModelState
    from txpanel.tracing import Trace, open_trace, record
    from txpanel.tracing.head_scores import head_scores
    from txpanel.views.base import View


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'txpanel' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return sorted(__all__)
