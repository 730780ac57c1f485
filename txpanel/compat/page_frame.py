"""What panel-material-ui's page shows and has no option for, taken away by CSS: its own bar, and Panel's large loading sign.

Our own bar takes the place of the page's: the prompt in it grows with the text, which a fixed bar cannot.

Versions: panel-material-ui 0.16.6, Panel 1.9.4 to 1.10.0.
Reason: no parameter of `Page` leaves the bar out; its class names are its own affair.
Upstream: panel-extensions/panel-material-ui, panel_material_ui/template/Page.jsx and base_template.html: a page without a bar.
Test: tests/compat/test_page_frame.py::test_the_page_still_has_what_is_hidden
"""

from __future__ import annotations

__all__ = ["NO_BAR", "QUIET_LOADER"]

NO_BAR = """
.header{display:none!important}
.main>.MuiBox-root>.MuiToolbar-root{display:none}
"""
"""Inside the page: without its bar and the room that it leaves for it."""

QUIET_LOADER = """
#loader:not(.error){background:none;pointer-events:none}
#loader .spinner{width:26px;height:26px;border:3px solid var(--tx-focus-mid);border-top-color:var(--tx-focus)}
"""
"""Of the document: a quiet sign while the page is on its way, in the colours of `txpanel.toolkit.palette`."""
