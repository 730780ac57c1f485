"""``/health``: whether this server can show a page, for a proxy, a supervisor or a container's own check.

``{"status": "ready", "seconds": 12.5}``: what it is, and since how many seconds. HTTP 200 for ``ready``, 503 for the others, so that
a proxy sends nobody to a server whose model is still on its way. Any answer at all says that the process lives; a frozen one gives none.
It names no model, no path and no reason: everybody may ask. The reason stands in the log.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tornado.web import RequestHandler

__all__ = ["Handler", "Health", "HealthHandler", "state"]

Status = Literal["loading", "ready", "failed"]


class Health:
    """The state of the first model: the one that the server loads when it starts."""

    def __init__(self) -> None:
        self._status: Status = "loading"
        self._since = time.monotonic()
        self._guard = threading.Lock()

    def tell(self, status: Status) -> None:
        """Sets the state; may be called from any thread."""
        with self._guard:
            if status != self._status:
                self._status, self._since = status, time.monotonic()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around the loading of the first model: what has not become ready by its end has failed, whatever the error was."""
        try:
            yield
        finally:
            if self._status == "loading":
                self.tell("failed")

    @property
    def status(self) -> Status:
        """A server whose first model failed is ready all the same once a visitor has loaded another one."""
        if self._status == "failed" and _a_model_is_loaded():
            self.tell("ready")
        return self._status

    @property
    def seconds(self) -> float:
        """Seconds since the status changed last."""
        return time.monotonic() - self._since


def _a_model_is_loaded() -> bool:
    shared = sys.modules.get("txpanel.session.shared")  # importing it imports torch, for which an answer must not wait
    return shared is not None and len(shared.models) > 0


state = Health()
"""The health of this process."""


class Handler(RequestHandler):
    """Base of addresses that programs request every few seconds: nothing is cached or logged (Tornado would log a 503 as an error)."""

    def set_default_headers(self) -> None:
        """No cache on the way may answer in our place."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def _log(self) -> None:
        pass


class HealthHandler(Handler):
    """Answers ``/health``."""

    def get(self) -> None:
        """The status as JSON."""
        status = state.status
        self.set_status(200 if status == "ready" else 503)
        self.finish({"status": status, "seconds": round(state.seconds, 1)})

    def head(self) -> None:
        """As `get`; Tornado leaves the body out."""
        self.get()
