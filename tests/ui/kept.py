"""Tabs that stay open from test to test: opening a page costs some seconds of a core, looking at it costs little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from tests.ui.tab import Tab, tab_of
from txpanel.page.address import DEFAULTS, read, settings

SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
MOST = 4
"""Open pages cost memory."""
NOTHING_OPEN = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])])
  const open = "[role=dialog], [aria-label='why this number'], .allsigns, .allheads, .banner, .sheet, table.numbers"
  return !all(document).some((e) => e.matches(open) && e.checkVisibility())
}"""


def said(address: str) -> dict[str, Any]:
    """What an address says of a page, however it says it."""
    given = read(urlsplit(address).query)
    return {**DEFAULTS, **given, **settings(given), "v": None}


@dataclass
class KeptTabs:
    """The tabs of one worker, by the address with which they were opened."""

    browser: Browser
    open: dict[str, Tab] = field(default_factory=dict)
    used: list[Tab] = field(default_factory=list)

    def get(
        self,
        address: str,
        width: int = 1440,
        height: int = 900,
        *,
        dark: bool = False,
        as_is: bool = False,
        motion: Literal["reduce", "no-preference"] = "reduce",
        opens: Callable[[Tab, str], object] = Tab.open,
    ) -> Tab:
        """A tab at this address: an earlier test's, if that has left it as it was (or whatever it has done in it, `as_is`)."""
        tab = self.open.pop(address, None)
        if tab is not None and not as_is and not self.at_rest(tab, address):
            tab.page.context.close()
            tab = None
        if tab is None:
            tab = tab_of(self.browser, width, height, reduced_motion=motion, color_scheme=SCHEMES[dark])
            opens(tab, address)
        self.open[address] = tab  # the newest is last
        self.used.append(tab)
        for old in list(self.open)[:-MOST]:
            self.open.pop(old).page.context.close()
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.page.emulate_media(color_scheme=SCHEMES[dark])
        tab.page.mouse.move(0, 0)
        tab.top()
        return tab

    @staticmethod
    def at_rest(tab: Tab, address: str) -> bool:
        return said(tab.page.url) == said(address) and bool(tab.page.evaluate(NOTHING_OPEN))

    def leave(self) -> list[str]:
        """After a test: what went wrong in the tabs that it used."""
        wrong = [one for tab in self.used for one in tab.wrong]
        for tab in self.used:
            tab.wrong.clear()
        self.used.clear()
        return wrong

    def close(self, beginning: str = "") -> None:
        """Closes those whose address begins like this: their server goes."""
        for address in [one for one in self.open if one.startswith(beginning)]:
            self.open.pop(address).page.context.close()
