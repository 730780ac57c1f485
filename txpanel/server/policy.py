"""What the person who starts a server allows its visitors, and where models run; all of it in environment variables.

``txpanel serve`` sets them from its options. They hold for ``panel serve txpanel`` as well:

``TXPANEL_MODELS``: names joined by commas: visitors choose among these and nothing else. ``TXPANEL_PUBLIC=1``: people on
other machines can reach the server; without a list they get the model it was started with. ``TXPANEL_DEVICE`` and
``TXPANEL_DTYPE``: where and in which type models run.
"""

from __future__ import annotations

import os
from typing import Any

from txpanel.errors import ModelNotFound
from txpanel.messages import _
from txpanel.models import catalogue

_offered: list[str] = []  # one server, one list
LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]", "")


def is_public(host: str | None = None) -> bool:
    """Whether strangers may be on the other side.

    Args:
        host: under which the visitor reached the page, where that is known.
    """
    if os.environ.get("TXPANEL_PUBLIC", "") not in ("", "0"):
        return True
    return (host or "") not in LOCAL


def allowed_models(host: str | None = None) -> tuple[str, ...]:
    """Names that are offered to a visitor, in order.

    Args:
        host: as in `is_public`.
    """
    listed = tuple(name for name in map(str.strip, os.environ.get("TXPANEL_MODELS", "").split(",")) if name)
    if listed:
        return listed
    if not is_public(host):
        return tuple(entry.name for entry in catalogue.CATALOGUE)
    first = os.environ.get("TXPANEL_MODEL", "").strip()
    return tuple(dict.fromkeys([*([first] if first else []), *_offered]))


def offer(name: str) -> None:
    """Let visitors have a model that the program itself chose: a page must be able to come back to it."""
    if name not in _offered:
        _offered.append(name)


def any_model(host: str | None = None) -> bool:
    """Whether a visitor may name any model: a hub id, a folder or file of this machine.

    Args:
        host: as in `is_public`.
    """
    return not os.environ.get("TXPANEL_MODELS", "").strip() and not is_public(host)


def permit(name: str, host: str | None = None) -> None:
    """Refuse a model that a visitor must not choose.

    Args:
        name: what the visitor, or the address of the page, asks for.
        host: as in `is_public`.

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
    dtype = os.environ.get("TXPANEL_DTYPE", "").strip() or None
    return {"device": os.environ.get("TXPANEL_DEVICE", "").strip() or "cpu", "dtype": dtype}
