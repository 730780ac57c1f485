"""Everything numeric that a view sends to the browser, found on the Bokeh models of its own page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import panel as pn
from bokeh.document import Document
from bokeh.models import ColumnDataSource, GlyphRenderer
from panel.custom import JSComponent
from panel.io.state import set_curdoc

from txpanel.toolkit.picture import ColourKey


@dataclass
class Sent:
    """One array on its way to the browser.

    Attributes:
        path: ``<picture>/<glyphs or component>.<column or parameter>``; numbers inside lists of dicts have their keys behind it.
        values: the numbers, float64, flat. beside: what travels with them (the other columns, or the other parameters).
        component: the Panel component, None for a figure's source.
    """

    path: str
    values: np.ndarray
    beside: dict[str, Any] = field(default_factory=dict)
    component: Any = None


def numbers(value: Any, path: str, into: dict[str, list[float]]) -> None:
    """Every number of a nest of lists, dicts and arrays, by the path that leads to it (places in lists are left out)."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fiu":
            into.setdefault(path, []).extend(value.ravel().tolist())
    elif isinstance(value, bool | str) or value is None or hasattr(value, "ref"):
        return
    elif isinstance(value, int | float | np.number):
        into.setdefault(path, []).append(float(value))
    elif isinstance(value, dict):
        for key, one in value.items():
            numbers(one, f"{path}.{key}", into)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            numbers(one, path, into)
    else:
        raise TypeError(f"{path}: what is a {type(value).__name__} doing on the page?")


def sent(view: Any) -> list[Sent]:
    """All arrays of a view as a session would get them.

    Raises:
        TypeError: a value of a kind that nobody has thought of.
    """
    doc = Document()
    with set_curdoc(doc):
        layout = pn.panel(view)
        root = layout.get_root(doc)
        return [*_sources(layout, root), *_parameters(layout, root.ref["id"])]


def _pictures(layout: Any) -> dict[Any, str]:
    """What each picture is called, by the id of what it shows (a figure's models, or a component)."""
    found: dict[Any, str] = {}
    for column in layout.select(lambda one: getattr(one, "tools", None) is not None):
        if isinstance(column.plot, pn.pane.Bokeh):
            found |= {model.id: column.tools._file for model in column.plot.object.references()}
        found[id(column.plot)] = column.tools._file
        found |= {id(legend): column.tools._file for legend in column.select(ColourKey)}
    return found


def _sources(layout: Any, root: Any) -> Iterator[Sent]:
    names, models = _pictures(layout), root.references()
    glyphs: dict[str, set[str]] = {}
    for model in models:
        if isinstance(model, GlyphRenderer):
            glyphs.setdefault(model.data_source.id, set()).add(type(model.glyph).__name__)
    for source in (model for model in models if isinstance(model, ColumnDataSource)):
        drawn = "+".join(sorted(glyphs.get(source.id, {"nothing"})))
        for column, values in source.data.items():
            found: dict[str, list[float]] = {}
            numbers(values, f"{names.get(source.id, '?')}/{drawn}.{column}", found)
            for path, flat in found.items():
                yield Sent(path, np.array(flat, np.float64), dict(source.data))


def _parameters(layout: Any, ref: str) -> Iterator[Sent]:
    names = _pictures(layout)
    for component in layout.select(JSComponent):
        name = f"{names[id(component)]}/" if id(component) in names else ""
        data = component._models[ref][0].data
        beside = {one: getattr(data, one) for one in data.properties()}
        for one, value in beside.items():
            found: dict[str, list[float]] = {}
            numbers(value, f"{name}{type(component).__name__}.{one}", found)
            for path, flat in found.items():
                yield Sent(path, np.array(flat, np.float64), beside, component)
