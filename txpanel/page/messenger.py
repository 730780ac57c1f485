"""The base of the page's own components: each hands the messages of its browser side to one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txpanel.toolkit.component import Component

__all__ = ["Messenger"]

OnMessage = Callable[[dict[str, Any]], None]


class Messenger(Component):
    """A component that hands the browser's messages to one function."""

    def __init__(self, on_message: OnMessage, **params: Any) -> None:
        super().__init__(**params)
        self._on_message: OnMessage | None = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(data)

    def send(self, data: dict[str, Any]) -> None:
        """A message to the browser."""
        self._send_msg(data)

    def close(self) -> None:
        """Ignores all further messages."""
        self._on_message = None
