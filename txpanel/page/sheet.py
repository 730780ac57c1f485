"""On a phone an opened view lies over the page as a sheet; this is the sheet's head."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["SheetHead"]


class SheetHead(Messenger):
    """On a phone: the head of the sheet as which an opened part comes up, and what closes it.

    Says whether the page is as narrow as a phone's, and whether the system prefers dark.
    """

    title = param.String(default="", doc="What is open.")
    shown = param.Boolean(default=False, doc="Whether what is open is a sheet on a narrow page.")
    close_label = param.String(default="", doc="On the button that closes it.")

    _module = "sheet.js"
    _styles = "sheet.css"
