"""Real Chromium against a real server. Whatever goes wrong in the browser, or leaves this machine, fails the test."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import panel as pn
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

APP = Path(__file__).parents[2] / "txpanel"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120_000
"""Milliseconds for anything on a page: generous, because CI machines are slow and busy."""
expect.set_options(timeout=PATIENCE)
BUNDLE = "await importShim(performance.getEntriesByType('resource').map((one) => one.name).find((name) => name.includes('/txpanel/txpanel.js')))"
"""In the browser: our own modules as the page has them."""
HARMLESS = re.compile(r"GPU stall|GL Driver Message|WebGL|software rendering", re.IGNORECASE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("ui")


@dataclass
class Server:
    """A running ``panel serve txpanel``."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def address(self, **state: object) -> str:
        """The page with a state in its address."""
        return f"{self.url}?{urlencode(state)}" if state else self.url


FORGETFUL = ("--unused-session-lifetime", "8000", "--check-unused-sessions", "500")
"""Options of a server that lets go of a session 8 s after its page has gone; by default that takes 15 to 32 s."""


def start_server(home: Path, app: Path = APP, options: Sequence[str] = (), **environment: str) -> Server:
    """Starts a server on a free port with the nano model and waits until it answers."""
    # localhost: on every address visitors would be strangers, who may not choose a model
    command = [sys.executable, "-m", "panel", "serve", str(app), "--port", "0", "--address", "localhost", *options]
    return start_command(home, command, r"running at: (http://\S+)", **environment)


def start_command(home: Path, command: list[str], says: str, **environment: str) -> Server:
    """Starts a command with the nano model and waits until it says its address, which is the group of the pattern."""
    settings = {
        **os.environ,
        "TXPANEL_MODEL": "nano",
        "TXPANEL_CACHE": str(home / "cache"),
        "HF_HOME": str(home / "hub"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    process = subprocess.Popen(
        command, env=settings, cwd=home, text=True, stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    )
    server = Server("", process)
    threading.Thread(target=_listen, args=(server, says), daemon=True).start()
    limit = time.monotonic() + PATIENCE / 1000
    while not server.url:
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            raise RuntimeError("the server did not start:\n" + "\n".join(server.lines))
        time.sleep(0.05)
    return server


def sessions(server: Server) -> int:
    """How many sessions a server keeps, as its figures say."""
    with urlopen(server.url.rsplit("/", 1)[0] + "/metrics", timeout=60) as answer:
        (line,) = (line for line in answer.read().decode().splitlines() if line.startswith("txpanel_sessions "))
    return int(float(line.split()[1]))


def _listen(server: Server, says: str) -> None:
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.lines.append(line.rstrip())
        if found := re.search(says, line):
            server.url = found.group(1)


def stop_server(server: Server) -> None:
    """Ends a server that `start_server` started."""
    server.process.terminate()
    try:
        server.process.wait(10)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
    if server.process.stdout is not None:
        server.process.stdout.close()


@contextmanager
def served(app: Callable[[], Any]) -> Iterator[str]:
    """The address of a server in this process whose page is what `app` returns; for a part of the page by itself."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    running = pn.serve(app, port=port, show=False, threaded=True, verbose=False)
    yield f"http://localhost:{port}/"
    running.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that need nothing special, built-in views only."""
    running = start_server(tmp_path_factory.mktemp("server"), TXPANEL_PLUGINS="none")
    yield running
    stop_server(running)


def chromium() -> str | None:
    """Where a Chromium is."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: from the PATH, else Playwright's own; the one without a window's frame, if it is there: a page costs a third less."""
    found = chromium()
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        except Exception as error:
            advice = "install Chromium (Debian: apt-get install chromium) or run: python -m playwright install chromium"
            raise RuntimeError(f"The browser tests need Chromium; {advice}") from error
        yield opened
        opened.close()


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
        return self.page.get_by_role("textbox", name="Prompt")

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


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, each a visitor of its own; fails if any of them had an error or asked for something elsewhere."""
    tabs: list[Tab] = []

    def make(width: int = 1440, height: int = 900, **options: object) -> Tab:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        tab = Tab(context.new_page())
        tab.page.set_default_timeout(PATIENCE)
        tab.page.on("console", tab._console)
        tab.page.on("pageerror", tab._page_error)
        tab.page.on("request", tab._request)
        tab.page.on("requestfailed", tab._request_failed)
        tabs.append(tab)
        return tab

    yield make
    for tab in tabs:
        tab.page.context.close()
    assert [wrong for tab in tabs for wrong in tab.wrong] == []


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    """One browser tab."""
    return new_tab()
