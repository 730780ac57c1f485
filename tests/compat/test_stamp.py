"""Figures made from one: as the first in all that a page sees, and none of them shares what changes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from bokeh.core.serialization import Serializer
from bokeh.core.validation import check_integrity
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS, HoverTool
from bokeh.plotting import figure

from txpanel.compat import stamp as module
from txpanel.compat.stamp import Stamp


@pytest.fixture
def original() -> Any:
    """A figure with all that ours have: data, tools, callbacks, ticks by hand."""
    made = figure(width=300, tools="", x_axis_label="layer")
    source = ColumnDataSource({"x": [1, 2], "y": [3.0, 4.0]})
    points = made.scatter("x", "y", source=source, size=7)
    made.add_tools(HoverTool(renderers=[points], tooltips=[("x", "@x")]))
    made.xaxis[0].major_label_overrides = {1: "one"}
    made.js_on_change("inner_width", CustomJS(code="look", args={"source": source}))
    return made


def _sent(model: Any) -> str:
    """What a page gets of a model, without the names that Bokeh gives."""
    names: dict[str, str] = {}
    text = json.dumps(Serializer(deferred=False).serialize(model).content)
    return re.sub(r'"(p\d+|[0-9a-f-]{36})"', lambda found: names.setdefault(found[0], f"#{len(names)}"), text)


def test_bokeh_still_copies_one_model_only(original: Any) -> None:
    """When this fails, Bokeh copies what hangs on a model too: `Stamp` is no longer needed."""
    assert original.xaxis[0].clone().ticker is original.xaxis[0].ticker


@pytest.mark.parametrize("as_known", [True, False])
def test_a_copy_is_what_the_first_was(original: Any, as_known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fits", lambda *_given: as_known)
    again = Stamp(original)
    one, other = again(), again()
    if as_known:
        assert _sent(one) == _sent(original)
    assert len(one.references()) == len(original.references())
    assert not one.references() & (other.references() | original.references())
    assert check_integrity(one.references()).error == []


def test_copies_change_by_themselves(original: Any) -> None:
    again = Stamp(original)
    one, other = again(), again()
    one.renderers[0].data_source.data["x"] = [5, 6]
    one.xaxis[0].major_label_overrides[2] = "two"
    one.tools.append(HoverTool())
    assert [list(made.renderers[0].data_source.data["x"]) for made in (other, original, again())] == [[1, 2]] * 3
    assert other.xaxis[0].major_label_overrides == {1: "one"}
    assert len(other.tools) == len(original.tools) == 1
    assert other.tools[0].renderers == [other.renderers[0]]


def test_a_copy_tells_its_document_what_changes(original: Any) -> None:
    document, made, told = Document(), Stamp(original)(), list[Any]()
    document.add_root(made)
    document.on_change(lambda event: told.append((event.model, event.attr)))
    made.title.text = "other"
    made.renderers[0].data_source.data["y"] = [0.0, 1.0]
    assert told[0] == (made.title, "text")
    assert len(told) == 2
