"""The one place that imports panel-material-ui (which is to become ``pn.ui``): the page's frame and theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import panel_material_ui as pmui
from panel.io.state import state

from txpanel.compat import page_resources
from txpanel.compat.page_frame import NO_BAR, QUIET_LOADER
from txpanel.compat.page_leak import release
from txpanel.messages import language
from txpanel.toolkit import figure_code
from txpanel.toolkit.palette import FONTS, colour, css_variables

__all__ = ["choose", "page"]

SCHEME_CSS = {
    None: ":host,.mui-light,.mui-dark{color-scheme:light dark}",
    False: ":host,.mui-light,.mui-dark{color-scheme:light}",
    True: ":host,.mui-light,.mui-dark{color-scheme:dark}",
}
"""What decides about light and dark inside the page; None: the system."""

SHELL_CSS = (
    NO_BAR
    + """
.main,.main-content{background:var(--tx-background)!important;color:var(--tx-text)}
.main-content{scroll-padding-top:60px}
@media print{
:host{color-scheme:light!important;--tx-background:#fff}
.mui-light,.mui-dark{color-scheme:light!important}
:host,.mui-light,.mui-dark,.main,.main>.MuiBox-root,.main-content{display:block!important;height:auto!important;min-height:0!important;overflow:visible!important}
}
"""
)

DOCUMENT_CSS = (
    QUIET_LOADER
    + """
html,body{background:light-dark(#f6f8fb,#0c1220)}
html:lang(ja){line-break:strict;word-break:auto-phrase;overflow-wrap:break-word}
@page{size:landscape;margin:8mm}
@media print{
html,body{height:auto!important;overflow:visible!important;background:#fff!important;color-scheme:light!important;print-color-adjust:exact}
body{width:var(--tx-paper-width,auto);zoom:var(--tx-paper-zoom,1)}
}
body{font-variant-numeric:tabular-nums}
body::before,body::after{content:"A" / "";font:400 1px Roboto;position:absolute;opacity:0;pointer-events:none} body::after{font-weight:700}
"""
)
"""CSS of the document: a small sign while the page loads. Its fonts are requested at once, not when the first text is shown."""


class Page(pmui.Page):
    """panel-material-ui's page, without the parts that ours does not use."""

    _bundle_css: ClassVar[list[str]] = []
    """Empty: of this bundle a page needs the fonts only, which `page_resources` puts into the document."""

    _first: Callable[[], page_resources.First | None] | None = None
    """Called when the page is written: returns what the browser shows before any script runs."""

    _language: str = ""
    """Language code of the page's texts, as in HTML."""

    def server_doc(self, doc: Any = None, *args: Any, **kwargs: Any) -> Any:
        page_resources.inline_styles(doc or state.curdoc)
        doc = super().server_doc(doc, *args, **kwargs)
        doc.template = page_resources.trim(doc.template, figure_code.script(), self._first, self._language)
        return doc


def page(
    main: list[Any],
    *,
    title: str,
    dark: bool | None = False,
    first: Callable[[], page_resources.First | None] | None = None,
) -> Page:
    """A page that fills the window, in our colours, light or dark.

    Args:
        main: Panel objects from top to bottom; a first one with ``position: sticky`` stays in sight.
        title: of the browser's tab.
        dark: which theme it begins with; None: the one that the system prefers, from the first paint on.
        first: called when the page is written: returns what the browser shows before any script runs.
    """
    made = Page(
        main=main,
        title=title,
        dark_theme=bool(dark),
        theme_toggle=False,
        busy_indicator=None,
        sidebar=[],
        sidebar_open=False,
        sidebar_variant="temporary",
        theme_config={"light": _theme(dark=False), "dark": _theme(dark=True)},
        stylesheets=_styles(dark),
        raw_css=[css_variables(":root"), DOCUMENT_CSS, SCHEME_CSS[dark].replace(":host", "html")],
    )
    made._first, made._language = first, language().replace("_", "-")
    release(made)
    return made


def choose(page: pmui.Page, *, dark: bool) -> None:
    """Sets light or dark, as a person chose: the system's preference does not count any more."""
    page.stylesheets = _styles(dark)


def _styles(dark: bool | None) -> list[str]:
    return [css_variables(":host"), SCHEME_CSS[dark], SHELL_CSS]


def _theme(*, dark: bool) -> dict[str, Any]:
    def own(meaning: str) -> str:
        return colour(meaning, dark=dark)

    return {
        "palette": {
            "primary": {"main": own("focus"), "contrastText": own("on-focus")},
            "background": {"default": own("background"), "paper": own("surface")},
            "text": {"primary": own("text"), "secondary": own("muted")},
            "divider": own("border"),
        },
        "shape": {"borderRadius": 10},
        "typography": {"fontFamily": FONTS},
    }
