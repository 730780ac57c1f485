"""For a saved page, which has no server: the properties of its Bokeh models that differ between light and dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.property.vectorization import Value
from bokeh.document import Document

__all__ = ["Themes", "themes"]

Themes = dict[str, list[dict[str, Any]]]
"""Id of a model -> its properties in light and in dark; of a data source's columns only those that differ."""
PLAIN = (str, int, float, bool, type(None))


def themes(doc: Document, dark: Callable[[bool], None]) -> Themes:
    """Switches a page to dark and back, and says what changed.

    Args:
        doc: holds the page's models. dark: switches it; the page is light afterwards.
    """
    dark(False)
    light = _properties(doc)
    dark(True)
    other = _properties(doc)
    dark(False)
    found: Themes = {}
    for name, before in light.items():
        after = other.get(name, {})
        changed = [key for key in before.keys() & after.keys() if not _same(before[key], after[key])]
        pairs = {key: pair for key in changed if (pair := _both(key, before[key], after[key])) is not None}
        if pairs:
            found[name] = [{key: pair[i] for key, pair in pairs.items()} for i in (0, 1)]
    return found


def _properties(doc: Document) -> dict[str, dict[str, Any]]:
    return {model.id: dict(model.properties_with_values(include_defaults=True)) for model in doc.models}


def _both(key: str, before: Any, after: Any) -> tuple[Any, Any] | None:
    """A property in light and in dark, as JSON; `None`: it is no plain value."""
    if key == "data" and isinstance(before, dict):
        columns = [name for name in before if name in after and not _same(before[name], after[name])]
        both = [{name: _plain(data[name]) for name in columns} for data in (before, after)]
    else:
        both = [_plain(before), _plain(after)]
    return (both[0], both[1]) if all(map(_is_plain, both)) else None


def _plain(value: Any) -> Any:
    if isinstance(value, Value):  # the same for all that a glyph draws
        return {"value": value.value}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return type(one) is type(other) and one.dtype == other.dtype and bool(np.array_equal(one, other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
