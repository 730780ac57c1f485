"""Without a built-in view the page stands, and the flow offers nothing that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.removed import copy_without
from tests.ui.conftest import Server, Tab, start_server, stop_server

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a package that lacks the attention view."""
    place = copy_without(tmp_path_factory.mktemp("without"), "attention")
    home = tmp_path_factory.mktemp("server")
    running = start_server(home, app=place / "txpanel", PYTHONPATH=str(place), TXPANEL_PLUGINS="none")
    yield running
    stop_server(running)


def test_the_flow_offers_only_views_that_are_there(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(reduced_motion="reduce")
    tab.open(server.address(text="CBABBC="))
    page = tab.page
    expect(page.get_by_role("tab", selected=True)).to_have_text("Embedding")
    assert "Attention" not in page.get_by_role("tab").all_inner_texts()

    attention = page.locator(".heading[data-part=attention]")
    expect(attention).to_have_attribute("aria-disabled", "true")
    assert attention.get_attribute("aria-expanded") is None
    expect(page.locator(".caption.c-qkv")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".caption.c-mlp")).to_have_attribute("aria-disabled", "false")
    attention.click(force=True)  # Playwright would wait until it is enabled
    page.locator(".heading[data-part=mlp]").click()
    expect(page.get_by_role("tab", selected=True)).to_have_text("MLP")
    expect(page.locator(".heading[data-part=mlp]")).to_have_attribute("aria-expanded", "true")

    page.locator(".spot").first.focus()  # the pattern
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="why this number")).to_contain_text("pattern")
    expect(page.get_by_role("tab", selected=True)).to_have_text("MLP")
