"""Runs that the browser keeps: only what its name stands for comes back, and the place is the address's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from txpanel.page.address import read
from txpanel.page.browser_storage import BrowserStorage
from txpanel.page.top_bar.controller import Bar
from txpanel.session.tree_codec import TreeRecord, record
from txpanel.testing import nano_state


@pytest.fixture
def bar() -> Bar:
    return Bar(lambda _system: None)


@pytest.fixture(scope="module")
def run() -> TreeRecord:
    state = nano_state("CBABBC=", temperature=2.0, seed=5)
    state.generate(6)
    state.go(2)
    state.append(0)
    state.go(1)
    return record(state.tree)


def come_back(bar: Bar, named: str, data: object) -> list[TreeRecord | None]:
    found: list[TreeRecord | None] = []
    kept = BrowserStorage(bar.component, named)
    kept.then(found.append)
    assert found == []  # first the browser is asked
    kept.answered({"name": bar.component.wanted, "data": data})
    kept.answered({"name": bar.component.wanted, "data": data})
    assert len(found) == 1  # it is heard once
    return found


def test_a_run_comes_back_as_it_was(bar: Bar, run: TreeRecord) -> None:
    named = BrowserStorage(bar.component).keep(run)
    assert read(f"?film={named}") == {"film": named}
    assert come_back(bar, named, bar.component.kept["data"]) == [run]


def test_another_place_in_it_is_the_same_run(bar: Bar, run: TreeRecord) -> None:
    kept = BrowserStorage(bar.component)
    first, data = kept.keep(run), bar.component.kept
    second = kept.keep(replace(run, at=3))
    assert first.split(".")[0] == second.split(".")[0]
    assert bar.component.kept is data  # nothing travels again
    assert come_back(bar, second, data["data"]) == [replace(run, at=3)]
    (clamped,) = come_back(bar, second.split(".")[0] + ".99999.99999", data["data"])
    assert clamped is not None
    assert clamped.at == clamped.leaf == len(run.entries)


def test_nothing_else_comes_back(bar: Bar, run: TreeRecord) -> None:
    named = BrowserStorage(bar.component).keep(run)
    data = bar.component.kept["data"]
    for other in (None, "", 7, data + " ", json.dumps({**json.loads(data), "text": "another"})):
        assert come_back(bar, named, other) == [None]


def test_an_address_without_one_asks_nobody(bar: Bar) -> None:
    for named in ("", "eJyr", "@xyz.1.1", "@" + "a" * 20, "@" + "a" * 20 + ".1.1.1"):
        found: list[TreeRecord | None] = []
        kept = BrowserStorage(bar.component, named)
        kept.then(found.append)
        assert found == [None]
        assert not kept.asked
        assert bar.component.wanted == ""
    assert read("?film=@zz.1.1&layer=2") == {"layer": 2}
