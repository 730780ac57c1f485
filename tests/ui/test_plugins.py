"""A plugin that fails at import, while it is built or when it is updated is a card; everything else goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import SMALL, Server, Tab, start_server, stop_server

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


def installed(site: Path, name: str, version: str, entries: str, files: dict[str, str]) -> None:
    """A package of views in a folder, as pip would leave it there."""
    for file, source in files.items():
        (site / file).write_text(source, encoding="utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has found a package of three views, all of them broken, and one whose view needs scripts which no page of ours has."""
    site = tmp_path_factory.mktemp("site")
    broken = {"broken_views.py": PLUGIN, "broken_import.py": "raise ImportError('no module of mine')"}
    installed(site, "broken-views", "0.3", ENTRIES, broken)
    table = {"table_views.py": TABLE, "mine.js": MINE}
    installed(site, "table-views", "0.1", "[txpanel.views]\ntable = table_views:TableView\n", table)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    home = tmp_path_factory.mktemp("server")
    running = start_server(home, PYTHONPATH=path, TXPANEL_PLUGINS="broken-views,table-views")
    yield running
    stop_server(running)


def test_broken_plugins_are_cards_and_the_rest_goes_on(plugged: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(reduced_motion="reduce")  # else two parts are in sight while one fades into the other
    tab.open(plugged.address(text="CBABBC=", view="embedding"))
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


def test_a_plugins_scripts_are_loaded_with_its_view(plugged: Server, new_tab: Callable[..., Tab]) -> None:
    """Tabulator and WebGL when they are opened, not before; and ``tx`` in a module that imports nothing."""
    tab = new_tab(reduced_motion="reduce")
    fetched: list[str] = []
    tab.page.on("request", lambda request: fetched.append(request.url))
    tab.open(plugged.address(text="CBABBC=", view=SMALL))
    tab.page.locator(".flow[data-shows]").wait_for()
    late = ("tabulator.min.js", "luxon.min.js", "tabulator_simple.min.css", "bokeh-gl.min.js")
    assert not [url for url in fetched if any(name in url for name in late)]
    tab.page.get_by_role("tab", name="Table").click()
    expect(tab.page.locator(".tabulator-cell").filter(has_text="42")).to_be_visible()
    expect(tab.page.locator("b.mine")).to_have_text("1.234e−4 false")
    tab.until(lambda: all(any(name in url for url in fetched) for name in late), "what it needs has come")


@pytest.mark.sweep
def test_a_plugins_scripts_are_there_when_the_page_begins_with_its_view(plugged: Server, tab: Tab) -> None:
    tab.open(plugged.address(text="CBABBC=", view="table"))
    expect(tab.page.locator(".tabulator-cell").filter(has_text="42")).to_be_visible()
    expect(tab.page.locator("b.mine")).to_be_visible()
