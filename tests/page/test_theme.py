"""The page's frame: it is freed with its session, and everything from panel-material-ui comes through one module."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import panel as pn

from txpanel.page import theme

PACKAGE = Path(theme.__file__).parent


def _page_after_gc(*, released: bool) -> object | None:
    page = theme.page([pn.Column("x")], title="t") if released else theme.pmui.Page(main=[pn.Column("x")], title="t")
    dead = weakref.ref(page)
    del page
    gc.collect()
    return dead()


def test_released_page_is_freed() -> None:
    assert _page_after_gc(released=True) is None


def test_the_cure_is_still_needed() -> None:
    """When this fails, panel-material-ui has mended its leak: drop `ui.release`."""
    kept = _page_after_gc(released=False)
    assert isinstance(kept, theme.pmui.Page)
    theme.release(kept)


def test_material_ui_is_imported_in_one_place() -> None:
    users = [
        path.name for path in PACKAGE.rglob("*.py") if "import panel_material_ui" in path.read_text(encoding="utf-8")
    ]
    assert users == ["theme.py"]
