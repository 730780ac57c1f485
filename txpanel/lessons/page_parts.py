"""The parts of the page that a step may highlight (“light”), and those that ▶ Play stops at. The browser knows where they are (``toolkit/page_parts.js``)."""

from __future__ import annotations

__all__ = ["PARTS", "PLAYED"]

PARTS = (
    "prompt",
    "model",
    "generate",
    "undo",
    "embedding",
    "tokens",
    "lanes",
    "qkv",
    "attention",
    "values",
    "heads",
    "mlp",
    "plus",
    "blocks",
    "next",
    "temperature",
    "play",
    "tabs",
    "view",
    "card",
    "timeline",
)
"""Each is offered by the component that draws it; one that is not on screen is not lit."""

PLAYED = ("embedding", "qkv", "attention", "values", "mlp", "next")
"""In the order in which the pass through the model comes to them."""
