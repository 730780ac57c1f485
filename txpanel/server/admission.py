"""Open pages, waiting visitors, and the requests of each address: what the limits of a server are compared with (`txpanel.server.entry_limits`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any

from txpanel.models.limits import Limits, limits
from txpanel.server import visitors
from txpanel.server.rates import Buckets
from txpanel.server.waiting_line import Room, WaitingLine

__all__ = ["Admission", "limits_of"]

FRAGMENTS = 4
"""Frames of a message: header, metadata, content, and often one more."""
PATIENCE = 2.0
"""Most seconds that a page which sends too much waits between two frames."""
LINGERING = 2
"""Sessions that are kept, as a multiple of the places, in all and of an address: pages that lost their connection may come back."""
CONNECTIONS = 4
"""Connections that may be opened, as a multiple of the pages: they break, and are opened again."""


class Admission:
    """The open pages, the waiting line and the request rates of one server."""

    def __init__(self) -> None:
        self.line = WaitingLine()
        self.pages, self.messages = Buckets(), Buckets()
        self._addresses: dict[str, str] = {}  # of each session
        self._connected: set[str] = set()  # sessions whose page has arrived
        self._coming = Counter[str]()  # pages that are being made, by address

    def room(self, handler: Any) -> Room:
        """How many places there are for the visitor who sends a request."""
        now, sessions = limits_of(handler.request), list(_sessions(handler.application))
        taken = self.taken(sessions)
        if now.max_sessions and len(sessions) >= LINGERING * now.max_sessions:
            taken[""] += now.max_sessions  # too many sessions without connection are kept: no place is free
        return Room(taken, now.max_sessions, now.max_sessions_per_address, self._closed(sessions, now))

    def _closed(self, sessions: Iterable[Any], now: Limits) -> frozenset[str]:
        """Addresses with too many kept sessions: one that opens pages and breaks the connections would fill the server."""
        kept = Counter(self._addresses.get(session.id, "") for session in sessions)
        most = LINGERING * now.max_sessions_per_address
        return frozenset(address for address, n in kept.items() if most and address and n >= most)

    def taken(self, sessions: Iterable[Any]) -> Counter[str]:
        """Open pages of each address: those that are connected, and those whose page has not arrived yet."""
        here = list(sessions)
        names = {session.id for session in here}
        self._addresses = {name: where for name, where in self._addresses.items() if name in names}
        self._connected &= names
        taken = Counter(
            self._addresses.get(session.id, "")
            for session in here
            if session.connection_count or session.id not in self._connected
        )
        return taken + self._coming

    async def bring(self, address: str, make: Awaitable[Any]) -> Any:
        """Awaits the making of a session, whose place is taken from now on; returns it."""
        self._coming[address] += 1
        try:
            session = await make
        finally:
            self._coming[address] -= 1
            self._coming = +self._coming  # without addresses whose count is 0
        if session is not None:
            self._addresses.setdefault(session.id, address)
        return session

    def arrived(self, session: Any, address: str) -> None:
        """A session's page is there."""
        self._addresses.setdefault(session.id, address)
        self._connected.add(session.id)

    def too_often(self, address: str, now: Limits, *, connects: bool = False) -> int:
        """Seconds after which an address may ask for a page again, or for a connection; 0: it may now."""
        most = now.max_pages_per_minute * (CONNECTIONS if connects else 1)
        name = f"connection {address}" if connects else f"page {address}"
        return math.ceil(self.pages.ask(name, most, most / 60)) if most else 0

    def pause(self, session: str, address: str, now: Limits) -> float:
        """Seconds for which a page's next frame waits."""
        own, shared = now.max_messages_per_second * FRAGMENTS, now.max_messages_per_second_per_address * FRAGMENTS
        waits = [self.messages.owe(f"page {session}", 2 * own, own)] if own else []
        waits += [self.messages.owe(f"address {address}", 2 * shared, shared)] if shared else []
        return min(max(waits, default=0.0), PATIENCE)


def limits_of(request: Any) -> Limits:
    """Which limits hold for a request."""
    return limits(public=visitors.is_public(visitors.peer(request)))


def _sessions(application: Any) -> Iterable[Any]:
    return (session for url in application.app_paths for session in application.get_sessions(url))
