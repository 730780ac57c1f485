"""Looking through known names only leads to the same models, and Bokeh composes no sentence about the others."""

from __future__ import annotations

from typing import Any

import pytest
from bokeh.core.has_props import HasProps
from panel import custom

from tests.compat.changes import said
from txpanel.compat import unknown_names
from txpanel.compat.replacing import original


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names for which Bokeh composed a sentence; Panel's own way is in place."""
    found: list[str] = []
    own = HasProps._raise_attribute_error_with_matches

    def spy(self: Any, name: str, properties: Any) -> None:
        found.append(name)
        own(self, name, properties)

    monkeypatch.setattr(HasProps, "_raise_attribute_error_with_matches", spy)
    monkeypatch.setattr(custom, "freeze_doc", original(custom, "freeze_doc"))
    return found


def test_bokeh_still_composes_a_sentence_for_each_name(missed: list[str]) -> None:
    """When this fails, Panel has mended it: drop `unknown_names`. And both ways lead to the same models."""
    long = said()
    assert missed
    missed.clear()
    unknown_names.mend()
    unknown_names.mend()
    assert said() == long
    assert missed == []
