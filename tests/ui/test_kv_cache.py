"""The KV-cache view in Chromium: its bytes are worked out for the block in focus."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab
from txpanel.models.language_model import LanguageModel

TEXT = "CBABBC="


def test_the_bytes_follow_the_block(server: Server, kept: Callable[..., Tab], nano: LanguageModel) -> None:
    tab = kept(server.address(text=TEXT, view="kv-cache"))
    lines = tab.page.locator(".bytes .line")
    expect(lines).to_have_count(3)
    config = nano.model.config
    heads = config.num_attention_heads  # nano has no groups
    each = config.hidden_size // config.num_attention_heads
    bytes_ = heads * 7 * 2 * each * 4
    expect(lines.nth(0)).to_have_text(
        f"block 1{heads} key/value heads × 7 tokens × ({each} + {each}) numbers × 4 bytes= {bytes_:,} bytes"
    )
    expect(lines.nth(1)).to_contain_text(f"= {bytes_ * config.num_hidden_layers:,} bytes")
    tab.page.get_by_role("button", name="Next block").press("Enter")
    expect(lines.nth(0)).to_contain_text("block 2")
    tab.page.locator("canvas.map").click(position={"x": 30, "y": 50})  # the third row
    expect(lines.nth(0)).to_contain_text("block 3")


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="kv-cache"), width, 844, dark=bool(dark), as_is=True)
    expect(tab.page.locator(".bytes .line")).to_have_count(3)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
