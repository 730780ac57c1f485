"""What is hidden in the page of panel-material-ui is there under the names that our CSS uses."""

from __future__ import annotations

from importlib.resources import files

from txpanel.compat.page_frame import NO_BAR, QUIET_LOADER
from txpanel.page import theme


def test_the_page_still_has_what_is_hidden() -> None:
    """When this fails, look at the page in a browser: a second bar over ours, or a large spinner on a grey page."""
    package = files("panel_material_ui")
    frame = (package / "template" / "Page.jsx").read_text(encoding="utf-8")
    assert 'className="header"' in frame
    assert 'className="main"' in frame
    assert "<Toolbar" in frame
    loader = (package / "_templates" / "base.html").read_text(encoding="utf-8")
    assert '<div id="loader"' in loader
    assert '<div class="spinner">' in loader


def test_our_page_hides_it() -> None:
    page = theme.page([], title="t")
    assert any(NO_BAR in str(sheet) for sheet in page.stylesheets)
    assert any(QUIET_LOADER in str(css) for css in page.config.raw_css)
