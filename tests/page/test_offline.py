"""A page that is kept refers to nothing outside itself."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import txpanel
from txpanel.page.offline import self_contained

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


def test_addresses_of_panel_become_its_files() -> None:
    css = self_contained('{"url":"https://cdn.holoviz.org/panel/1.9.4/dist/css/loading.css?v=1.9.4"}')
    assert css.startswith('{"url":"data:text/css;base64,')
    assert css.endswith('"}')


def test_addresses_beside_a_server_become_files_as_well() -> None:
    """A process that also serves pages lets Panel point to a folder beside the page."""
    for address in (
        "static/extensions/panel/css/loading.css",
        "../static/extensions/panel/css/loading.css?v=1",
    ):
        assert self_contained(f'<link href="{address}">').startswith('<link href="data:text/css;base64,')


def test_what_only_the_served_page_needs_is_left_out() -> None:
    address = "static/extensions/panel-material-ui/material-icons.css?v=1.9.4"
    assert self_contained(f'<link href="{address}">') == '<link href="data:text/css,">'


def test_a_saved_page_points_nowhere(nano: LanguageModel, tmp_path: Path) -> None:
    import_module(
        "txpanel.page.theme"
    )  # whoever has imported the frame of the served page has its files linked in every page
    dashboard = txpanel.explain("CBABBC=", model=nano)
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    addresses = re.findall(r'"url":"([^"]{12,60})', page) + re.findall(
        r'<(?:link|script)[^>]+(?:href|src)="([^"]+)', page
    )
    assert addresses
    assert [address for address in addresses if not address.startswith("data:")] == []
