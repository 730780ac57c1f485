"""Addresses of Panel's files in a saved page become the files themselves."""

from __future__ import annotations

import io

import panel as pn
import pytest
from bokeh.resources import INLINE

from txpanel.compat.saved_links import ELSEWHERE, self_contained


def test_panel_still_links_to_files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Panel puts everything in by itself: drop `saved_links`."""
    monkeypatch.setattr(pn.config, "inline", True)
    page = io.StringIO()
    pn.Column("x").save(page, resources=INLINE)
    assert ELSEWHERE.search(page.getvalue())
    assert not ELSEWHERE.search(self_contained(page.getvalue()))


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
