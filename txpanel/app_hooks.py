"""Panel runs `on_server_loaded` once per process: the slow imports begin before anybody looks, without delaying the page."""

from __future__ import annotations

from typing import Any


def on_server_loaded(server_context: Any) -> None:
    """Starts loading torch and transformers in the background."""
    from txpanel.app import warm_up_soon

    warm_up_soon()
