"""`txpanel.explain` on a page of somebody else's program, served by `pn.serve`: nothing of our own server is there, whatever version the libraries have."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab, start_command, stop_server

pytestmark = pytest.mark.sweep

PROGRAM = """
import panel as pn
import txpanel

model = txpanel.load("nano")
pn.serve(lambda: txpanel.explain("CBABBC=", model=model, temperature=0.0), port=0, show=False, address="localhost")
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("theirs")
    (home / "program.py").write_text(PROGRAM, encoding="utf-8")
    running = start_command(home, [sys.executable, "program.py"], r"server at (http://\S+)", TXPANEL_PLUGINS="none")
    yield running
    stop_server(running)


def test_the_dashboard_works_inside_another_panel_page(theirs: Server, new_tab: Callable[..., Tab]) -> None:
    tab, other = new_tab().open(theirs.url), new_tab().open(theirs.url)
    page = tab.page
    expect(tab.ghost).to_have_text("A")
    tab.run("EDCEDC=")
    expect(tab.ghost).to_have_text("C")
    page.get_by_role("combobox", name="How many tokens").select_option("5")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(tab.prompt).to_have_value("EDCEDC=CCDDE")
    page.get_by_role("button", name="Undo").click()
    expect(tab.prompt).to_have_value("EDCEDC=")
    page.get_by_role("button", name="Next block").click()
    expect(page.locator(".flow")).to_have_attribute("data-shows", re.compile("^1/"))
    tabs = page.get_by_role("tab")
    for i in range(tabs.count()):
        tabs.nth(i).click()
        expect(tabs.nth(i)).to_have_attribute("aria-selected", "true")
        page.locator(".tx-unfolded").get_by_role("button", name="numbers and files").first.wait_for()
    expect(other.prompt).to_have_value("CBABBC=")
    expect(other.ghost).to_have_text("A")
    assert not [line for line in theirs.lines if re.search("Traceback|Error|Warning", line)], "\n".join(theirs.lines)


def test_pages_that_run_at_the_same_time_do_not_mix(theirs: Server, new_tab: Callable[..., Tab]) -> None:
    """Each has its own text and its own answer, whoever asks meanwhile: what is one page's never comes to another."""
    letters = ["AB", "BA", "CA", "AC", "BC", "CB"]
    tabs = [new_tab(900, 700).open(theirs.url) for _text in letters]
    for tab, text in zip(tabs, letters, strict=True):
        tab.prompt.fill(text + "=")
    for tab in tabs:
        tab.prompt.press("Enter")
    for tab, text in zip(tabs, letters, strict=True):
        expect(tab.prompt).to_have_value(text + "=")
        expect(tab.ghost).to_have_text(min(text))
    assert not [line for line in theirs.lines if re.search("Traceback|Error|Warning", line)], "\n".join(theirs.lines)
