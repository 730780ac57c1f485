"""A password in `PANEL_BASIC_AUTH` is what was written there."""

from __future__ import annotations

import inspect

import panel as pn
import pytest
from panel.config import _config

from txpanel.compat import password_variable


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> property:
    found = vars(_config)["basic_auth"]
    monkeypatch.setattr(_config, "basic_auth", found)  # put back at the end
    return found  # type: ignore[no-any-return]


def test_panel_still_makes_it_lower_case() -> None:
    """When this fails, Panel takes the password as it is: `password_variable` can go."""
    assert ".lower()" in inspect.getsource(inspect.getmodule(_config)).partition("def basic_auth")[2][:200]  # type: ignore[arg-type]


def test_it_is_as_it_was_written(own: property, monkeypatch: pytest.MonkeyPatch) -> None:
    password_variable.mend()
    password_variable.mend()
    monkeypatch.setenv("PANEL_BASIC_AUTH", "Secret")
    assert pn.config.basic_auth == "Secret"
    monkeypatch.delenv("PANEL_BASIC_AUTH")
    assert not pn.config.basic_auth
