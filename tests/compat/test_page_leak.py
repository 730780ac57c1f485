"""A page of panel-material-ui is freed with its session, by our help."""

from __future__ import annotations

import gc
import logging
import weakref
from types import SimpleNamespace

import panel as pn
import pytest

from txpanel.compat import page_leak
from txpanel.page import theme


def _page_after_gc(*, released: bool) -> object | None:
    page = theme.page([pn.Column("x")], title="t") if released else theme.pmui.Page(main=[pn.Column("x")], title="t")
    dead = weakref.ref(page)
    del page
    gc.collect()
    return dead()


def test_released_page_is_freed() -> None:
    assert _page_after_gc(released=True) is None


def test_the_workaround_is_still_needed() -> None:
    """When this fails, panel-material-ui has mended its leak: drop `page_leak`."""
    kept = _page_after_gc(released=False)
    assert isinstance(kept, theme.pmui.Page)
    page_leak.release(kept)


def test_where_param_keeps_them_elsewhere_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        page_leak.release(SimpleNamespace())
    assert "elsewhere" in caplog.text
