"""The first opening of each tab: what it costs on the wire, counted; what is below the window comes when it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.sweeping import apart
from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="
MODELS = "() => Bokeh.documents.map((one) => one._all_models.size).reduce((a, b) => a + b, 0)"
WATCH = """(id) => {
  const below = (root) => { for (const e of root.querySelectorAll('*')) {
    if (e.classList.contains('tx-unfolded')) return e.shadowRoot
    const found = e.shadowRoot && below(e.shadowRoot); if (found) return found } }
  const leaves = below(document), wrong = globalThis.wrong = []
  const tab = (root) => { for (const e of root.querySelectorAll('*')) {
    if (e.matches('[role=tab]') && e.dataset.id === id) return e
    const found = e.shadowRoot && tab(e.shadowRoot); if (found) return found } }
  const mine = tab(document)
  const look = () => {
    const shown = [...leaves.querySelectorAll('.leaf:not(.folded)')].filter((e) => e.offsetHeight > 40)
    const others = shown.filter((e) => !e.classList.contains('view-' + id)).map((e) => e.className)
    if (mine.getAttribute('aria-selected') === 'true' && others.length) wrong.push(others.join())
    if (!shown.some((e) => e.classList.contains('view-' + id))) requestAnimationFrame(look)
  }
  look(); mine.click() }"""
"""Opens a tab; what stands there in any frame in which the tab is the chosen one, until its own view does."""

MOST = {
    # id: thousand bytes, messages, models in the page
    "embedding": (75, 12, 50),
    "mlp": (88, 12, 107),
    "residual": (92, 12, 175),
    "softmax": (110, 12, 135),
    "sampling": (103, 12, 36),
    "kv-cache": (40, 12, 28),
}
"""What a first opening may cost at most: a fifth more than it did when this was written."""
BELOW = {
    "embedding": ("Tokens", "Nearest tokens"),
    "mlp": ("Activation function", "Down projection: a sum of vectors"),
    "residual": ("Residual stream in one block", "Logit lens: the final token"),
    "softmax": ("From logit to probability", "Surprisal of the text so far"),
}
"""A picture at the top of a view, and one further down."""


def _wire(tab: Tab) -> list[Any]:
    """What the page receives from now on."""
    received: list[Any] = []
    tab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(data)))
    return received


@pytest.mark.parametrize("name", [one if one == "mlp" else apart(one) for one in MOST])
def test_opening_a_view_for_the_first_time_sends_little(server: Server, tab: Tab, name: str) -> None:
    received = _wire(tab)
    tab.open(server.address(text=TEXT))
    tab.page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for()
    _until_quiet(tab, received)
    received.clear()
    models = tab.page.evaluate(MODELS)
    tab.page.evaluate(WATCH, name)
    tab.page.locator(f".view-{name} :is(canvas,svg,table,input)").filter(visible=True).first.wait_for()
    _until_quiet(tab, received)
    cost = sum(map(len, received)) / 1000, _messages(received), tab.page.evaluate(MODELS) - models
    assert all(got <= most for got, most in zip(cost, MOST[name], strict=True)), (cost, MOST[name])
    assert tab.page.evaluate("wrong") == []


@pytest.mark.parametrize("name", [one if one == "mlp" else apart(one) for one in BELOW])
def test_parts_below_the_window_come_when_scrolled_into_sight(
    server: Server, new_tab: Callable[..., Tab], name: str
) -> None:
    top, below = BELOW[name]
    tab = new_tab(height=640).open(server.address(text=TEXT, view=name))
    expect(tab.page.get_by_role("heading", name=top, exact=True)).to_have_count(1)
    expect(tab.page.get_by_role("heading", name=below, exact=True)).to_have_count(0)
    tab.look_at_all()
    expect(tab.page.get_by_role("heading", name=below, exact=True)).to_be_visible()


def _until_quiet(tab: Tab, received: list[Any]) -> None:
    """Until nothing has changed for a while."""
    count = -1
    while count != (count := _messages(received)):
        tab.page.wait_for_timeout(700)


def _messages(received: list[Any]) -> int:
    """Changes of the page, the numbers in them not counted as messages of their own."""
    return sum(isinstance(frame, str) and '"PATCH-DOC"' in frame for frame in received)
