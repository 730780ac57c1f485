"""What `explain(...).save()` writes opens without server and network and shows its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

import txpanel
from tests.ui.conftest import Tab

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


def test_a_saved_dashboard_works_by_itself(nano: LanguageModel, tmp_path: Path, tab: Tab) -> None:
    dashboard = txpanel.explain("CBABBC=", model=nano, temperature=0.0)
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    tab.page.goto((tmp_path / "x.html").as_uri())
    tab.prompt.wait_for()
    assert tab.prompt.input_value() == "CBABBC="
    tab.until(lambda: tab.ghost.text_content() == "A")
    tab.page.get_by_role("tab", selected=True).wait_for()
    tab.until(lambda: tab.page.locator("canvas").count() + tab.page.locator("svg").count() > 2, "pictures are drawn")
    told = tab.page.get_by_role("status").filter(has_text="This page was saved")
    assert told.count() == 0
    tab.page.get_by_role("button", name="Block +").click()  # needs the model: said, not ignored
    expect(told).to_be_visible()
