"""Real Chromium against a real server. Whatever goes wrong in the browser, or leaves this machine, fails the test."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import panel as pn
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import warm
from tests.ui.kept import KeptTabs
from tests.ui.tab import PATIENCE, Tab, tab_of
from txpanel.models.doctor import find_browser

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
SMALL = "kv-cache"
"""The view that costs least to open, for tests of what stands around the views: attention, which is open by default, is half of a page."""
BUNDLE = "await importShim(performance.getEntriesByType('resource').map((one) => one.name).find((name) => name.includes('/txpanel/txpanel.js')))"
"""In the browser: our own modules as the page has them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("ui")


@dataclass
class Server:
    """A running ``panel serve txpanel``."""

    url: str
    process: subprocess.Popen[str] | warm.Forked
    lines: list[str] = field(default_factory=list)

    def address(self, **state: object) -> str:
        """The page with a state in its address."""
        return f"{self.url}?{urlencode(state)}" if state else self.url


FORGETFUL = ("--unused-session-lifetime", "8000", "--check-unused-sessions", "500")
"""Options of a server that lets go of a session 8 s after its page has gone; by default that takes 15 to 32 s."""


def start_server(home: Path, app: Path = APP, options: Sequence[str] = (), **environment: str) -> Server:
    """Starts a server on a free port with the nano model and waits until it answers; forked, if it is of our own package."""
    # localhost: on every address visitors would be strangers, who may not choose a model
    words = ["panel", "serve", str(app), "--port", "0", "--address", "localhost", *options]
    settings, says = settings_of(home, environment), r"running at: (http://\S+)"
    if warm.CAN and app == APP:
        return listening(warm.Forked(words, settings, home), says)
    return start_command(home, [sys.executable, "-m", *words], says, **environment)


def start_command(home: Path, command: list[str], says: str, **environment: str) -> Server:
    """Starts a command with the nano model and waits until it says its address, which is the group of the pattern."""
    process = subprocess.Popen(
        command,
        env=settings_of(home, environment),
        cwd=home,
        text=True,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
    )
    return listening(process, says)


def settings_of(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What a server's environment is."""
    return {
        **os.environ,
        "TXPANEL_MODEL": "nano",
        "TXPANEL_CACHE": str(home / "cache"),
        "HF_HOME": str(home / "hub"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }


def listening(process: subprocess.Popen[str] | warm.Forked, says: str) -> Server:
    """A server whose lines are heard, once it has said its address."""
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
    limit = time.monotonic() + PATIENCE / 1000
    while True:  # its thread may take a while before it listens
        with suppress(ConnectionRefusedError), socket.create_connection(("localhost", port)):
            break
        assert time.monotonic() < limit
        time.sleep(0.02)
    try:
        yield f"http://localhost:{port}/"
    finally:
        running.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that need nothing special, built-in views only."""
    running = start_server(tmp_path_factory.mktemp("server"), TXPANEL_PLUGINS="none")
    yield running
    stop_server(running)


def chromium() -> str | None:
    """Where a Chromium is."""
    return find_browser(("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))


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


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, each a visitor of its own; fails if any of them had an error or asked for something elsewhere."""
    tabs: list[Tab] = []

    def make(width: int = 1440, height: int = 900, **options: object) -> Tab:
        tabs.append(tab_of(browser, width, height, **options))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.page.context.close()
    assert [wrong for tab in tabs for wrong in tab.wrong] == []


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    """One browser tab."""
    return new_tab()


@pytest.fixture(scope="session")
def kept_tabs(browser: Browser) -> Iterator[KeptTabs]:
    """The tabs that stay open from test to test."""
    tabs = KeptTabs(browser)
    yield tabs
    tabs.close()


@pytest.fixture
def kept(kept_tabs: KeptTabs) -> Iterator[Callable[..., Tab]]:
    """Gives a tab that an earlier test may have opened, for tests that look at a page or do what leaves it good for the next."""
    yield kept_tabs.get
    assert kept_tabs.leave() == []
