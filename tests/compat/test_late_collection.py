"""Who looks for what ended sessions have left: Panel, unless somebody else said that he does."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest
from panel.io import document as panel_document

from txpanel.compat import late_collection
from txpanel.compat.replacing import original


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda *_which: done.append("all"))
    monkeypatch.setattr(panel_document, "_panel_last_cleanup", time.monotonic() - 1000)
    yield done
    late_collection.heard_by(None)


def test_panel_still_collects_by_itself(collected: list[str]) -> None:
    """When this fails, Panel does it otherwise: look whether `late_collection` is still needed."""
    original(panel_document, "_garbage_collect")()
    assert collected == ["all"]


def test_the_listener_is_called_instead(collected: list[str]) -> None:
    late_collection.mend()
    late_collection.mend()
    panel_document._garbage_collect()
    assert collected == ["all"]  # nobody has said so yet
    told: list[int] = []
    late_collection.heard_by(lambda: told.append(1))
    panel_document._garbage_collect()
    assert (collected, told) == (["all"], [1])
