"""A library's function is replaced once, and only while it is what the replacement was written for."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from txpanel.compat.replacing import fits, original, replace


class Library:
    """Somebody else's."""

    def greet(self, name: str) -> str:
        """Says hello."""
        return "hello " + name


def louder(own: Any) -> Any:
    return lambda self, name: own(self, name).upper()


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "greet", original(Library, "greet"))


def test_once_however_often_it_is_asked_for() -> None:
    own = Library.greet
    assert replace(Library, "greet", louder, ['"hello "'])
    assert replace(Library, "greet", louder, ['"hello "'])
    assert Library().greet("you") == "HELLO YOU"
    assert Library.greet.__doc__ == "Says hello."
    assert original(Library, "greet") is own


@pytest.mark.parametrize(
    ("name", "needs", "said"), [("greet", ["good morning"], "good morning"), ("wave", [], "that function")]
)
def test_what_has_changed_or_is_gone_is_left_alone(
    name: str, needs: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert not replace(Library, name, louder, needs)
    assert [record.message for record in caplog.records] == [
        f"left as it is: {__name__}.Library.{name} does not have {said}"
    ]
    assert Library().greet("you") == "hello you"


def test_a_function_without_its_source_fits_what_asks_for_none() -> None:
    owner: Any = SimpleNamespace(length=len, __name__="owner")
    assert fits(owner, "length")
    assert not fits(owner, "length", ["return"])
