"""Parts of a view that come one after the other."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import panel as pn
import pytest

from txpanel.toolkit.waiting import Waiting
from txpanel.views import background

FIRST, SECOND, THIRD = pn.Column(), pn.Column(), pn.Column()


def at_once(step: Callable[[], object]) -> object:
    return step()


def test_a_part_is_built_only_when_the_browser_has_the_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Callable[[], object]] = []
    built: list[str] = []
    monkeypatch.setattr(background, "_soon", lambda _document, step: steps.append(step))
    session = SimpleNamespace(curdoc=SimpleNamespace(session_context=object()))
    monkeypatch.setattr(background, "pn", SimpleNamespace(state=session))
    column = pn.Column(FIRST)
    parts = [lambda: built.append("second") or SECOND, lambda: built.append("third") or THIRD]
    background.one_by_one(column, parts, "more comes", at_once)

    assert (column[0], column[1].text, built, steps) == (FIRST, "more comes", [], [])
    column[1]._handle_msg({"stands": True})
    steps.pop()()
    assert (list(column)[:2], built, steps) == ([FIRST, SECOND], ["second"], [])
    line = column[2]
    line._handle_msg({"stands": True})
    line._handle_msg({"stands": True})  # said again, after a reconnection: once is enough
    assert len(steps) == 1
    steps.pop()()
    assert list(column) == [FIRST, SECOND, THIRD]


def test_without_a_server_all_parts_are_there_at_once() -> None:
    column = pn.Column(FIRST)
    background.one_by_one(column, [lambda: SECOND, lambda: THIRD], "more comes", at_once)
    assert list(column) == [FIRST, SECOND, THIRD]
    assert not column.select(Waiting)
