"""Whether a visitor is local, at this machine, or a stranger.

Everybody counts as a stranger where strangers can come in at all: the server listens on an address that is not loopback, or pages of another
name than localhost may connect (`expose`, told by :mod:`txpanel.server.middleware`). Behind a proxy on this machine all
connections look local, and a plain one does not say for whom it connects; the allowed name is the only sign. ``TXPANEL_PUBLIC`` has
the last word: ``1`` makes everybody a stranger, ``0`` trusts everybody who can reach the server, except under an unknown host name: another
site may point its own name to this machine's address (DNS rebinding) and so send requests through the browser of a trusted visitor.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from txpanel.messages import _
from txpanel.models.environment import environment
from txpanel.server.rates import network

__all__ = ["FORWARDED", "address", "expose", "exposed", "is_known", "is_loopback", "is_public", "peer"]

log = logging.getLogger("txpanel.server")

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Scheme", "Forwarded", "X-Real-Ip", "Via")
"""Headers of which each says that a proxy passed the request on."""

PROXY = "proxy"

ROOM = 20
"""Most unknown host names that are logged."""

_exposed: list[str] = []  # of this process
_noted: set[str] = set()
_BRACKETED = re.compile(r"\[([0-9a-f:.%]+)\](?::\d*)?")


def is_loopback(host: str) -> bool:
    """Whether a name or address, with or without a port, is this machine's own and reached from nowhere else."""
    name = _bare(host)
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _bare(host: str) -> str:
    """A name without port and brackets."""
    text = host.strip().lower()
    if found := _BRACKETED.fullmatch(text):
        return found[1]
    name, colon, port = text.rpartition(":")
    return name if colon and name.count(":") == 0 and (port.isdecimal() or not port) else text


def is_known(host: str) -> bool:
    """Whether a host name cannot be another site's: it is an IP address, this machine's own name, or one that the operator allowed.

    Args:
        host: with or without a port.
    """
    name = _bare(host)
    if name == PROXY or is_loopback(name):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return any(_fits(name, _bare(known)) for known in _exposed)
    return True  # an IP address: it cannot be rebound


def _fits(name: str, pattern: str) -> bool:
    """As Bokeh compares names: ``*`` stands for one part, alone for all names."""
    if pattern == "*":
        return True
    theirs, ours = name.split("."), pattern.split(".")
    return len(theirs) == len(ours) and all(part in ("*", one) for one, part in zip(theirs, ours, strict=True))


def expose(addresses: Iterable[str], origins: Iterable[str]) -> None:
    """Tells where the server listens and which pages may connect.

    Args:
        addresses: as bound; anything else than an address, such as the path of a socket, counts as a way in for strangers.
        origins: names, with or without port; ``*`` for all.
    """
    found = [*addresses, *origins]
    _exposed[:] = dict.fromkeys([*_exposed, *(name for name in found if not is_loopback(name))])


def exposed() -> tuple[str, ...]:
    """The addresses and names by which strangers can come in; empty: there is none that we know."""
    return tuple(_exposed)


def is_public(host: str | None = None) -> bool:
    """Whether a visitor counts as a stranger.

    Args:
        host: under which the visitor reached the page, or sits, where that is known (`peer`).
    """
    said = environment().public
    if said is False and host and not is_known(host):
        _note(host)
        return True
    if said is not None:
        return said
    return bool(_exposed) or not (host is None or host == "" or is_loopback(host))


def _note(host: str) -> None:
    name = _bare(host)[:100]
    if name not in _noted and len(_noted) < ROOM:
        _noted.add(name)
        text = _(
            "A visitor used the host name {name}, which this server does not know, and is not trusted. If the name "
            "is yours, add it with --allow-websocket-origin."
        )
        log.warning(text.format(name=ascii(name)))


def peer(request: Any) -> str:
    """Where a request comes from: an unknown host name, else the first of its names and addresses that is not this machine's, else its IP address.

    What the page itself says of its address could be made up; so these are of the connection, and of the headers that a proxy adds.
    Host and Origin could be made up as well, but only to a visitor's disadvantage.

    Args:
        request: Tornado's.
    """
    headers = request.headers
    names = [str(request.remote_ip or PROXY), str(request.host or PROXY)]
    if headers.get("Origin"):
        names.append(_of_origin(headers["Origin"]))
    for name in names[1:]:
        if not is_known(name):
            return name
    if any(name in headers for name in FORWARDED):
        return PROXY
    return next((name for name in names if not is_loopback(name)), names[0])


def _of_origin(origin: str) -> str:
    try:
        return urlsplit(origin).netloc or PROXY
    except ValueError:  # no address at all
        return PROXY


def address(request: Any) -> str:
    """The IP address under which a visitor is counted: the connection's, or with ``--use-xheaders`` the one that a proxy reports.

    Args:
        request: Tornado's.
    """
    return network(str(request.remote_ip or ""))
