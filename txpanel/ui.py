"""The one place that imports panel-material-ui (which is to become ``pn.ui``): the page's frame and theme."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui

from txpanel.views.palette import colour, css_variables

__all__ = ["page", "release"]

SHELL_CSS = """
:host{color-scheme:light}
.mui-light{color-scheme:light} .mui-dark{color-scheme:dark}
.header{display:none!important}
.main>.MuiBox-root>.MuiToolbar-root{display:none}
.main,.main-content{background:var(--tx-background)!important;color:var(--tx-text)}
.main-content{scroll-padding-top:120px}
"""
"""Our own bar takes the place of the page's: the prompt in it grows with the text, which a fixed bar cannot."""

DOCUMENT_CSS = """
html,body{background:light-dark(#f6f8fb,#0c1220)} body{font-variant-numeric:tabular-nums}
"""


def page(main: list[Any], *, title: str, dark: bool = False) -> pmui.Page:
    """A page that fills the window, in our colours, light or dark.

    Args:
        main: Panel objects from top to bottom; a first one with ``position: sticky`` stays in sight.
        title: of the browser's tab.
        dark: which theme it begins with.
    """
    return pmui.Page(
        main=main,
        title=title,
        dark_theme=dark,
        theme_toggle=False,
        busy_indicator=None,
        sidebar=[],
        sidebar_open=False,
        sidebar_variant="temporary",
        theme_config={"light": _theme(dark=False), "dark": _theme(dark=True)},
        stylesheets=[css_variables(":host"), SHELL_CSS],
        raw_css=[css_variables(":root"), DOCUMENT_CSS],
    )


def release(page: pmui.Page) -> None:
    """Lets a page be freed when its session ends.

    `Page.__init__` binds its ``busy`` to the process-wide ``pn.state``, which keeps every page, and with it everything that
    hangs on the session, alive for ever (panel-material-ui 0.16.6). The watchers are in a private attribute of param;
    ``tests/test_ui.py`` fails when that moves, and when the page is freed without our help.
    """
    for _names, watcher in page._param__private.ref_watchers:
        owner = watcher.inst if watcher.inst is not None else watcher.cls
        owner.param.unwatch(watcher)
    page._param__private.ref_watchers = []


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
        "typography": {"fontFamily": 'Roboto, "Helvetica Neue", Arial, sans-serif'},
    }
