"""A plugin that fails at import, while it is built or when it is updated is a card; everything else goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab, start_server, stop_server

PLUGIN = """
import panel as pn
from txpanel.views.base import View

class Builds(View):
    id, title, order = "fails-at-build", "Fails at build", 200
    def __panel__(self):
        raise RuntimeError("no <b>bricks</b>")

class Updates(View):
    id, title, order = "fails-at-update", "Fails at update", 201
    def __panel__(self):
        def update():
            if self.state.layer == 1:
                raise ValueError("block one is too much")
        self.follow(update, "trace", "layer")
        return pn.pane.Str("fine so far")
"""
ENTRIES = """[txpanel.views]
fails-at-import = broken_import:Nothing
fails-at-build = broken_views:Builds
fails-at-update = broken_views:Updates
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has found a package of three views, all of them broken."""
    site = tmp_path_factory.mktemp("site")
    (site / "broken_views.py").write_text(PLUGIN, encoding="utf-8")
    (site / "broken_import.py").write_text("raise ImportError('no module of mine')", encoding="utf-8")
    info = site / "broken_views-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-views\nVersion: 0.3\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    running = start_server(Path(tmp_path_factory.mktemp("server")), PYTHONPATH=path, TXPANEL_PLUGINS="broken-views")
    yield running
    stop_server(running)


def test_broken_plugins_are_cards_and_the_rest_goes_on(broken: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(reduced_motion="reduce")  # else two parts are in sight while one fades into the other
    tab.open(broken.address(text="CBABBC=", view="embedding"))
    tabs = tab.page.get_by_role("tab")
    card = tab.page.get_by_role("alert").filter(has=tab.page.get_by_role("button", name="Try again"))

    tabs.filter(has_text="fails-at-import").click()
    expect(card).to_contain_text("broken-views 0.3")
    expect(card).to_contain_text("no module of mine")

    tabs.filter(has_text="Fails at build").click()
    expect(card).to_contain_text("RuntimeError: no <b>bricks</b>")
    card.get_by_text("Details").click()
    expect(card.locator("pre")).to_contain_text("raise RuntimeError")

    tabs.filter(has_text="Fails at update").click()
    expect(tab.page.get_by_text("fine so far")).to_be_visible()
    tab.page.get_by_role("button", name="Next block").click()
    expect(card).to_contain_text("block one is too much")
    tab.page.get_by_role("button", name="Previous block").click()
    card.get_by_role("button", name="Try again").click()
    expect(tab.page.get_by_text("fine so far")).to_be_visible()

    tabs.filter(has_text="Embedding").click()
    expect(tab.page.get_by_role("tab", selected=True)).to_have_text("Embedding")
    expect(card).to_have_count(0)


TABLE = """
import pandas as pd
import panel as pn
from bokeh.plotting import figure
from txpanel.toolkit.component import Component
from txpanel.views.base import View

class Mine(Component):
    _module = __file__.replace("table_views.py", "mine.js")

class TableView(View):
    \"\"\"A table of Panel's and a component of its own.\"\"\"
    id, title, order = "table", "Table", 200
    def __panel__(self):
        picture = figure(width=200, height=200, output_backend="webgl")
        picture.scatter([1, 2], [3, 4])
        return pn.Column(pn.widgets.Tabulator(pd.DataFrame({"a": [41, 42]})), Mine(), pn.pane.Bokeh(picture))
"""
MINE = "export const render = ({el}) => { el.append(tx.h('b', {class: 'mine'}, `${tx.number(0.00012345)} ${tx.isDark(el)}`)) }"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a view of another package that needs scripts which no page of ours has."""
    site = tmp_path_factory.mktemp("site")
    (site / "table_views.py").write_text(TABLE, encoding="utf-8")
    (site / "mine.js").write_text(MINE, encoding="utf-8")
    info = site / "table_views-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: table-views\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[txpanel.views]\ntable = table_views:TableView\n", encoding="utf-8")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    running = start_server(Path(tmp_path_factory.mktemp("server")), PYTHONPATH=path, TXPANEL_PLUGINS="table-views")
    yield running
    stop_server(running)


def test_what_a_plugin_needs_comes_with_it(table: Server, new_tab: Callable[..., Tab]) -> None:
    """Tabulator and WebGL when they are opened, not before; and ``tx`` in a module that imports nothing."""
    tab = new_tab(reduced_motion="reduce")
    fetched: list[str] = []
    tab.page.on("request", lambda request: fetched.append(request.url))
    tab.open(table.address(text="CBABBC="))
    tab.page.locator(".flow[data-shows]").wait_for()
    late = ("tabulator.min.js", "luxon.min.js", "tabulator_simple.min.css", "bokeh-gl.min.js")
    assert not [url for url in fetched if any(name in url for name in late)]
    tab.page.get_by_role("tab", name="Table").click()
    expect(tab.page.locator(".tabulator-cell").filter(has_text="42")).to_be_visible()
    expect(tab.page.locator("b.mine")).to_have_text("1.234e−4 false")
    tab.until(lambda: all(any(name in url for url in fetched) for name in late), "what it needs has come")


def test_what_a_plugin_needs_is_there_when_the_page_begins_with_it(table: Server, tab: Tab) -> None:
    tab.open(table.address(text="CBABBC=", view="table"))
    expect(tab.page.locator(".tabulator-cell").filter(has_text="42")).to_be_visible()
    expect(tab.page.locator("b.mine")).to_be_visible()
