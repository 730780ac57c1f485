"""Messages that look models up say the same as Bokeh's own, which lists all of them for each message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent, DocumentPatchedEvent
from bokeh.models import ColumnDataSource, Div, Row
from bokeh.plotting import figure
from bokeh.protocol.messages.patch_doc import patch_doc

from txpanel.compat import known_models
from txpanel.compat.replacing import original


@pytest.fixture
def own() -> Iterator[Any]:
    """Bokeh's way; whatever a test puts in its place goes again."""
    before = patch_doc.__dict__["create"]
    patch_doc.create = original(patch_doc, "create")  # type: ignore[method-assign]
    yield patch_doc.create
    patch_doc.create = before  # type: ignore[method-assign]


def said(create: Any) -> list[tuple[Any, int]]:
    """What a page hears of changes with known, new, shared, removed and returning models; models are numbered as they come."""
    doc, events, heard = Document(), list[DocumentPatchedEvent](), list[tuple[Any, int]]()
    plot, source, kept = figure(width=100, height=100), ColumnDataSource({"x": [1, 2], "y": [3, 4]}), Div(text="kept")
    plot.scatter("x", "y", source=source)
    row = Row(children=[Div(text="first"), plot])
    doc.add_root(row)
    doc.models.flush_synced()
    doc.on_change(lambda event: events.append(event) if isinstance(event, DocumentPatchedEvent) else None)
    first = row.children[0]

    def tell(*more: DocumentPatchedEvent) -> None:
        for event in [*events, *more]:
            message = create([event])
            heard.append((json.loads(message.content_json), len(message.buffers)))
        events.clear()

    first.text = "changed"
    tell()
    row.children = [first, kept, plot]  # one is new
    tell()
    row.children = [kept, plot, Row(children=[kept])]  # one gone, a new one round a known one
    tell()
    row.children = [first, plot]  # one comes back
    tell()
    source.data = {"x": [5, 6, 7], "y": [8, 9, 10]}
    tell()
    plot.x_range = plot.y_range  # one stands in two places
    tell()
    tell(ColumnDataChangedEvent(doc, source, "data", {"x": [1.5]}))
    return renumbered(heard)


def renumbered(heard: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Ids count on within a process."""
    numbers: dict[str, int] = {}

    def plain(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: plain(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return numbers.setdefault(value, len(numbers)) if name == "id" else value

    return [(plain(content), buffers) for content, buffers in heard]


def test_messages_are_bokehs_own(own: Any) -> None:
    theirs = said(own)
    known_models.mend()
    known_models.mend()
    assert patch_doc.create is not own
    ours = said(patch_doc.create)
    assert ours == theirs
    assert len(ours) == 7
    assert sum("Div" in json.dumps(content) for content, _buffers in ours) >= 2  # new models came as a whole


def test_a_message_of_nothing_or_of_two_documents_is_refused_as_before(own: Any) -> None:
    known_models.mend()
    with pytest.raises(ValueError, match="at least one event"):
        patch_doc.create([])


def test_bokeh_still_lists_all_models_for_each_message(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Bokeh has mended it: drop `known_models`."""
    listed: list[int] = []
    begin = Serializer.__init__

    def counted(self: Serializer, *, references: Any = frozenset(), **more: Any) -> None:
        listed.append(len(references))
        begin(self, references=references, **more)

    monkeypatch.setattr(Serializer, "__init__", counted)
    said(own)
    assert min(listed) > 10
    listed.clear()
    known_models.mend()
    said(patch_doc.create)
    assert max(listed) == 0
