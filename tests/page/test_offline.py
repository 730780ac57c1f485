"""A page that is kept refers to nothing outside itself."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import txpanel
from txpanel.errors import BadFile
from txpanel.page import offline

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel


def test_a_saved_page_points_nowhere(nano: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import_module(
        "txpanel.page.theme"
    )  # whoever has imported the frame of the served page has its files linked in every page
    dashboard = txpanel.explain("CBABBC=", model=nano)
    dashboard.save(tmp_path / "x.html")
    dashboard.close()
    assert not caplog.records  # such as Bokeh's about boxes that are still empty
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    addresses = re.findall(r'"url":"([^"]{12,60})', page) + re.findall(
        r'<(?:link|script)[^>]+(?:href|src)="([^"]+)', page
    )
    assert addresses
    assert [address for address in addresses if not address.startswith("data:")] == []
    assert "FlowPicture" in page
    assert re.findall(r'<(?:link|script|img)\b[^>]{0,300}?(?:href|src)="http[^"]*"', page) == []
    assert re.findall(r"https://cdn\.holoviz\.org/panel/[^\"']*\.css", page) == []


def test_a_page_is_saved_wholly_or_not_at_all(tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    offline._write(page, "the page before")
    full = tmp_path / f".x.html.{os.getpid()}.new"
    full.symlink_to("/dev/full")
    with pytest.raises(BadFile, match=r"x\.html.*No space left"):
        offline._write(page, "half of another")
    assert page.read_text(encoding="utf-8") == "the page before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
    with pytest.raises(BadFile, match="No such file"):
        offline._write(tmp_path / "nowhere" / "x.html", "a page")
