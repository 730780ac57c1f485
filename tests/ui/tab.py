"""A browser tab: what a test asks of the page in it, and what goes wrong there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect
from playwright.sync_api import Error as PlaywrightError

PATIENCE = 120_000
"""Milliseconds for anything on a page: generous, because CI machines are slow and busy."""
expect.set_options(timeout=PATIENCE)
HARMLESS = re.compile(r"GPU stall|GL Driver Message|WebGL|software rendering", re.IGNORECASE)


@dataclass
class Tab:
    """A browser tab and what went wrong in it."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, address: str, *, ready: bool = True) -> Tab:
        """Goes to an address and waits until the views are there, and the first picture has gone where it belongs."""
        self.page.goto(address, timeout=PATIENCE)
        self.prompt.wait_for(timeout=PATIENCE)
        if ready:
            self.page.locator("#tx-first").wait_for(state="detached", timeout=PATIENCE)
            self.page.get_by_role("tab", selected=True).wait_for(timeout=PATIENCE)
        return self

    @property
    def prompt(self) -> Locator:
        """The text box."""
        return self.page.get_by_role("textbox", name=re.compile(r"^(Prompt|プロンプト)$"))

    @property
    def ghost(self) -> Locator:
        """The drawn next token, behind the prompt."""
        return self.page.locator("button.ghost")

    @property
    def alert(self) -> Locator:
        """The sentence that says what went wrong."""
        return self.page.locator(".banner").filter(visible=True)

    @property
    def runs(self) -> int:
        """How many forward passes this session has seen."""
        return int(self.page.locator("[data-runs]").get_attribute("data-runs") or 0)

    def run(self, text: str) -> None:
        """Types a text and runs it."""
        self.prompt.fill(text)
        self.prompt.press("Enter")

    def top(self) -> None:
        """Scrolls to where the page begins: what scrolls is inside its frame."""
        self.page.locator(".flow").evaluate(
            """(node) => { for (let at = node; at; at = at.parentNode ?? at.host) if (at.scrollTop) at.scrollTop = 0 }"""
        )

    def look_at_all(self) -> None:
        """Scrolls down the view that is unfolded, as a reader does, until all of its pictures are built."""
        self.page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for()
        more = self.page.get_by_role("status").filter(has_text="More pictures are loading", visible=True)
        for _look in range(3):  # a line goes a moment before the next one comes
            while more.count():
                with suppress(PlaywrightError):  # it has just gone
                    more.first.scroll_into_view_if_needed(timeout=500)
                self.page.wait_for_timeout(100)
            self.page.wait_for_timeout(150)

    def until(self, what: Callable[[], object], say: str = "") -> None:
        """Waits until something holds."""
        limit = time.monotonic() + PATIENCE / 1000
        while not what():
            assert time.monotonic() < limit, say or "it did not happen"
            self.page.wait_for_timeout(50)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not HARMLESS.search(message.text):
            self.wrong.append(f"console: {message.text} ({message.location.get('url', '')[:200]})")

    def _page_error(self, error: PlaywrightError) -> None:
        self.wrong.append(f"page error: {error}")

    def _request_failed(self, request: Request) -> None:
        if "FILE_NOT_FOUND" in (request.failure or ""):
            self.wrong.append(f"not found: {request.url[:200]}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(
            ("http://localhost:", "http://127.0.0.1:", "data:", "blob:", "ws://localhost:", "file:")
        ):
            self.wrong.append(f"request leaves this machine: {request.url}")


def tab_of(browser: Browser, width: int, height: int, **options: object) -> Tab:
    """A tab of a visitor of its own."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
    tab = Tab(context.new_page())
    tab.page.set_default_timeout(PATIENCE)
    tab.page.on("console", tab._console)
    tab.page.on("pageerror", tab._page_error)
    tab.page.on("request", tab._request)
    tab.page.on("requestfailed", tab._request_failed)
    return tab


def cell_of(name: str) -> re.Pattern[str]:
    """What the second line of a card says of a number of that tensor: its name, and where in it the number stands."""
    return re.compile(rf"^{re.escape(name)}( \[.*\])?$")
