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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import panel as pn
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright

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


def start_server(home: Path, app: Path = APP, **environment: str) -> Server:
    """Starts a server on a free port with the nano model and waits until it answers."""
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
    command = [sys.executable, "-m", "panel", "serve", str(app), "--port", "0"]
    process = subprocess.Popen(
        command, env=settings, cwd=home, text=True, stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    )
    server = Server("", process)
    threading.Thread(target=_listen, args=(server,), daemon=True).start()
    limit = time.monotonic() + PATIENCE / 1000
    while not server.url:
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            raise RuntimeError("the server did not start:\n" + "\n".join(server.lines))
        time.sleep(0.05)
    return server


def _listen(server: Server) -> None:
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.lines.append(line.rstrip())
        if found := re.search(r"running at: (http://\S+)", line):
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: from the PATH, else Playwright's own."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
        """Goes to an address and waits until the views are there."""
        self.page.goto(address, timeout=PATIENCE)
        self.prompt.wait_for(timeout=PATIENCE)
        if ready:
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

    def until(self, what: Callable[[], object], say: str = "") -> None:
        """Waits until something holds."""
        limit = time.monotonic() + PATIENCE / 1000
        while not what():
            assert time.monotonic() < limit, say or "it did not happen"
            self.page.wait_for_timeout(50)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not HARMLESS.search(message.text):
            self.wrong.append(f"console: {message.text} ({message.location.get('url', '')[:200]})")

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
        tab.page.on("pageerror", lambda error: tab.wrong.append(f"page error: {error}"))
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
