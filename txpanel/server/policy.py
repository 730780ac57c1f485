"""Which models a visitor of the server may load.

It depends on environment variables (:mod:`txpanel.models.environment`), which ``txpanel serve`` sets from its options; so it holds
for ``panel serve txpanel`` as well. With ``TXPANEL_MODELS`` visitors choose among these and nothing else. Without it, whoever sits
at this machine may load anything, and strangers (:mod:`txpanel.server.visitors`) get the models that the server itself has chosen.
"""

from __future__ import annotations

from typing import Any

from txpanel.errors import ModelNotFound
from txpanel.messages import _
from txpanel.models import catalogue
from txpanel.models.environment import environment
from txpanel.server.visitors import is_public

__all__ = ["allowed_models", "any_model", "is_public", "offer", "options", "permit"]

_offered: list[str] = []  # of this process


def allowed_models(host: str | None = None) -> tuple[str, ...]:
    """Names that are offered to a visitor, in order.

    Args:
        host: as in `txpanel.server.visitors.is_public`.
    """
    now = environment()
    if now.models:
        return now.models
    if not is_public(host):
        return tuple(entry.name for entry in catalogue.CATALOGUE)
    return tuple(dict.fromkeys([*([now.model] if now.model else []), *_offered]))


def offer(name: str) -> None:
    """Let visitors have a model that the program itself chose: a page must be able to come back to it."""
    if name not in _offered:
        _offered.append(name)


def any_model(host: str | None = None) -> bool:
    """Whether a visitor may name any model: a hub id, a folder or file of this machine.

    Args:
        host: as in `txpanel.server.visitors.is_public`.
    """
    return environment().models is None and not is_public(host)


def permit(name: str, host: str | None = None) -> None:
    """Refuse a model that a visitor must not choose.

    Args:
        name: what the visitor, or the address of the page, asks for.
        host: as in `txpanel.server.visitors.is_public`.

    Raises:
        ModelNotFound: it is not among the allowed ones; the text says which are.
    """
    allowed = allowed_models(host)
    if any_model(host) or name in allowed:
        return
    entry = catalogue.find(name)
    if entry is not None and entry.name in allowed:
        return
    offered = ", ".join(allowed) or _("none")
    text = _("“{name}” is not among the models that this server offers: {offered}.")
    raise ModelNotFound(text.format(name=name[:100], offered=offered))


def options() -> dict[str, Any]:
    """Where models run, as arguments for `ModelState`."""
    now = environment()
    return {"device": now.device, "dtype": now.dtype}
