"""What was refused, for the operator: a line of the log and a counter for each. They contain nothing that a visitor wrote."""

from __future__ import annotations

import logging

from txpanel.models import metrics

__all__ = ["KINDS", "refuse"]

log = logging.getLogger("txpanel.server.refusals")

KINDS = (
    "full",  # no place on the server
    "address-full",  # no place for another page of this address
    "line-full",  # no place in the waiting line either
    "cross-site",  # a page of another site asked for this one
    "model",  # one that this server does not offer
    "pages",  # too many requests for pages from one address
    "connections",  # too many from one address, or to one session
    "silent",  # a dead connection, which does not answer, read or send: it was closed
    "messages",  # too many messages from one page or address: they were slowed down
    "request-size",  # an address or headers that are too long
    "work",  # more work of the server's thread than a page's share: it was slowed down
    "message-odd",  # data that is not a message of a page: the connection was closed
    "message-size",  # a message that is too large: the connection was closed
    "upload-size",
    "text",  # too many tokens or characters
    "new-tokens",
    "tree",  # too many tokens in all branches
    "branches",
    "beams",
    "time",  # a request took too long
    "login",  # a wrong name or password
)
"""Each kind of refusal, as /metrics and docs/operating.md name it."""


def refuse(kind: str, address: str = "") -> None:
    """Notes a refusal.

    Args:
        kind: one of `KINDS`. address: whose request it was, where that is known.
    """
    metrics.REFUSALS.add(kind=kind)
    log.warning("refused kind=%s address=%s", kind, address or "-")
