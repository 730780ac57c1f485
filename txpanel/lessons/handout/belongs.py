"""For each part of the page that a step highlights, and each view that it opens: the picture on paper and the view in a notebook."""

from __future__ import annotations

from collections.abc import Iterable

from txpanel.lessons.lesson import Step

__all__ = ["BELONGS", "pictures_of", "view_of"]

BELONGS: dict[str, tuple[str, str]] = {
    # name in `lit` or `open`: (a picture of `txpanel.lessons.handout.pictures`, id of a view); empty: none
    "prompt": ("tokens", "embedding"),
    "tokens": ("tokens", "embedding"),
    "embedding": ("embedding", "embedding"),
    "lanes": ("norms", "residual"),
    "blocks": ("norms", "residual"),
    "plus": ("added", "residual"),
    "residual": ("norms", "residual"),
    "qkv": ("qkv", "attention"),
    "attention": ("pattern", "attention"),
    "values": ("values", "attention"),
    "heads": ("heads", "attention"),
    "mlp": ("neurons", "mlp"),
    "next": ("next", "softmax"),
    "softmax": ("next", "softmax"),
    "temperature": ("next", "sampling"),
    "sampling": ("draw", "sampling"),
    "kv-cache": ("cache", "kv-cache"),
    "flow": ("norms", "flow"),
    "generate": ("", "sampling"),
    "timeline": ("", "sampling"),
    "view": ("", ""),
    "model": ("", ""),
    "undo": ("", ""),
    "play": ("", ""),
    "tabs": ("", ""),
    "card": ("", ""),
}

MOST_PICTURES = 2
"""Of one step: more would not fit on a page with its text and its question."""


def pictures_of(step: Step) -> tuple[list[str], list[str]]:
    """The pictures of a step, and those of them that may be seen only when its question is answered, or a later one."""
    found = _distinct(_belonging(name, 0) for name in (step.look.open, *step.look.lit, *step.look.hidden))
    covered = {_belonging(name, 0) for name in step.look.hidden}
    shown = [name for name in found if name not in covered]
    return shown[:MOST_PICTURES], [name for name in found if name in covered][:MOST_PICTURES]


def view_of(step: Step) -> str:
    """The id of the view that shows what a step speaks of: the one that it opens, else that of a part that it lights; else empty."""
    if step.look.open:
        return BELONGS.get(step.look.open, ("", step.look.open))[1]
    last = {"temperature": -1, "prompt": 1}  # the view with the sliders comes first; the prompt is in every step's text
    parts = sorted(step.look.lit, key=lambda name: last.get(name, 0))
    return next((view for name in parts if (view := _belonging(name, 1))), "")


def _belonging(name: str, which: int) -> str:
    return BELONGS.get(name, ("", ""))[which]


def _distinct(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
