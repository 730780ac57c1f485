"""Bokeh looks through a page's models at most once for many changes, and not for changes that replace none."""

from __future__ import annotations

import logging

import pytest
from bokeh.document import Document
from bokeh.document.models import DocumentModelManager
from bokeh.models import Range1d
from bokeh.plotting import figure

from txpanel.compat import one_look_through as module
from txpanel.compat.one_look_through import one_look_through


def test_bokehs_own_freeze_still_looks_without_need(doc: Document, looks: list[int]) -> None:
    """When this fails, Bokeh has mended it: ``with unlocked(), doc.models.freeze()`` is enough."""
    doc.add_root(figure())
    looks.clear()
    with doc.models.freeze():
        doc.roots[0].title.text = "no other model"
    assert looks == [1]


def test_bokeh_looks_once_however_many_models_are_replaced(doc: Document, looks: list[int]) -> None:
    range_, plot = Range1d(), figure()
    doc.add_root(plot)
    looks.clear()
    with one_look_through():
        plot.x_range = Range1d()
        plot.x_range = range_
        assert looks == []
    assert looks == [1]
    assert range_.document is doc
    with one_look_through():
        plot.title.text = "no other model"
    assert looks == [1]


def test_models_are_found_although_an_update_failed(doc: Document, looks: list[int]) -> None:
    range_, plot = Range1d(), figure()
    doc.add_root(plot)

    def fails() -> None:
        plot.x_range = range_
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), one_look_through():
        fails()
    assert range_.document is doc
    looks.clear()
    plot.y_range = Range1d()
    assert looks == [1]  # and nothing stays frozen


def test_where_bokeh_counts_in_another_way_its_own_freeze_is_used(
    doc: Document, looks: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(DocumentModelManager, "_push_freeze")
    monkeypatch.delattr(DocumentModelManager, "_pop_freeze")
    module._as_known.cache_clear()
    with caplog.at_level(logging.INFO):
        assert not module._as_known()
    module._as_known.cache_clear()
    assert "_pop_freeze" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(module, "_as_known", lambda: False)
    range_, plot = Range1d(), figure()
    doc.add_root(plot)
    with one_look_through():
        plot.x_range = range_
    assert range_.document is doc
