"""The short way of a change says the same as Panel's own, and asks for no style sheets that did not change."""

from __future__ import annotations

import pytest
from panel.reactive import Reactive
from panel.theme.base import Design

from tests.compat.changes import said
from txpanel.compat import style_lookup
from txpanel.compat.replacing import original


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever a design is asked for style sheets; Panel's own way is in place."""
    found: list[str] = []
    params = Design.params

    def counted(self: Design, viewable: object, *args: object) -> object:
        found.append(type(viewable).__name__)
        return params(self, viewable, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Design, "params", counted)
    monkeypatch.setattr(Reactive, "_update_properties", original(Reactive, "_update_properties"))
    return found


def test_panel_still_asks_the_design_at_every_change(asked: list[str]) -> None:
    """When this fails, Panel has mended it: drop `style_lookup`. And both ways lead to the same models."""
    long = said()
    own = len(asked)
    asked.clear()
    style_lookup.mend()
    style_lookup.mend()
    assert said() == long
    assert len(asked) <= own - 5  # the others are of style sheets, or new parts
