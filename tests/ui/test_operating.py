"""docs/operating.md as it stands: the unit's command behind the example's nginx, in Chromium, under the example's name."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import nginx
from tests.ui.conftest import FLAGS, PATIENCE, SMALL, Server, Tab, chromium, start_command, stop_server

pytestmark = pytest.mark.sweep

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs" / "operating" / "txpanel@.service"


def command_of_the_unit(port: int) -> list[str]:
    """What systemd would start for a port, with this Python."""
    (line,) = re.findall(r"^ExecStart=(.+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    program, *options = shlex.split(line.replace("%i", str(port)))
    assert program.endswith("/txpanel")
    return [sys.executable, "-m", "txpanel", *options]


@dataclass
class Site:
    nginx: nginx.Nginx
    server: Server
    port: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("behind")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start_command(
        home, command_of_the_unit(port), r"txpanel is at (\S+)", TXPANEL_PLUGINS="none", TXPANEL_MAX_TOKENS="20"
    )
    try:
        (home / "nginx").mkdir()
        with nginx.running(home / "nginx", [port]) as running:
            wait_until_ready(f"http://127.0.0.1:{port}/health", server)
            yield Site(running, server, port)
    finally:
        stop_server(server)


def wait_until_ready(address: str, server: Server) -> None:
    limit = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            assert asked(address)[0] == 200
            return
        except OSError:  # not listening yet, or 503
            assert time.monotonic() < limit, "\n".join(server.lines)
            time.sleep(0.1)


@pytest.fixture(scope="module")
def elsewhere(site: Site, browser: Browser) -> Iterator[Browser]:
    """A Chromium for which class.example.org is that nginx."""
    there = f"--host-resolver-rules=MAP {nginx.NAME}:443 127.0.0.1:{site.nginx.secure}"
    opened = browser.browser_type.launch(executable_path=chromium(), args=[*FLAGS, there])
    yield opened
    opened.close()


@pytest.fixture
def tab(elsewhere: Browser) -> Iterator[Tab]:
    """A visitor somewhere else."""
    tab = Tab(elsewhere.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}).new_page())
    tab.page.set_default_timeout(PATIENCE)
    tab.page.on("console", tab._console)
    tab.page.on("pageerror", lambda error: tab.wrong.append(f"page error: {error}"))
    yield tab
    tab.page.context.close()
    assert tab.wrong == []


def asked(address: str, **headers: str) -> tuple[int, str]:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        return answer.status, answer.read().decode()


def test_a_bare_panel_serve_has_health_and_metrics(server: Server, new_tab: object) -> None:
    base = server.url.rsplit("/", 1)[0]
    wait_until_ready(f"{base}/health", server)
    assert json.loads(asked(f"{base}/health")[1])["status"] == "ready"
    code, body = asked(f"{base}/metrics")
    assert code == 200
    assert "\ntxpanel_passes_total " in body


def test_the_page_works_through_nginx(site: Site, tab: Tab) -> None:
    sockets: list[str] = []
    tab.page.on("websocket", lambda socket: sockets.append(socket.url))
    tab.open(f"https://{nginx.NAME}/txpanel?view={SMALL}")
    assert sockets
    assert all(url.startswith(f"wss://{nginx.NAME}/txpanel/ws") for url in sockets)
    tab.run("CBABBC=")
    expect(tab.ghost).to_be_visible()
    before = figures(site)
    tab.run("BBCA=")
    expect(tab.page.locator(".flow[data-shows]")).to_be_visible()
    tab.until(lambda: figures(site)["txpanel_passes_total"] > before["txpanel_passes_total"])
    assert before["txpanel_sessions"] >= 1
    assert before["txpanel_sessions_opened_total"] >= 1
    assert before["txpanel_tokens_total"] >= 7
    assert before["txpanel_errors_total"] == 0
    assert site.nginx.ask("/health").status == 200


def figures(site: Site) -> dict[str, float]:
    """As Prometheus on the same machine reads them; those with labels summed, and 0 where no label has been counted yet."""
    found: dict[str, float] = {"txpanel_errors_total": 0, "txpanel_refusals_total": 0}
    for line in asked(f"http://127.0.0.1:{site.port}/metrics")[1].splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            bare = name.partition("{")[0]
            found[bare] = found.get(bare, 0) + float(value)
    return found


def test_visitors_through_nginx_are_not_local_and_no_log_has_their_text(site: Site, tab: Tab) -> None:
    tab.open(f"https://{nginx.NAME}/txpanel?model=/etc&text=CABSECRET", ready=False)
    tab.page.get_by_text("“/etc” is not among the models that this server offers").wait_for()
    site.nginx.ask("/nothing?text=CABSECRET")
    tab.until(lambda: "404 GET /nothing" in "\n".join(site.server.lines))
    assert "CABSECRET" not in "\n".join(site.server.lines)
    log = (site.nginx.folder / "txpanel.log").read_text(encoding="utf-8")
    assert '"GET /txpanel" 200' in log
    assert "CABSECRET" not in log


def test_a_refusal_is_one_line_of_the_log_and_counted_in_its_metric(site: Site, tab: Tab) -> None:
    tab.open(f"https://{nginx.NAME}/txpanel?view={SMALL}")
    before, lines = figures(site)["txpanel_refusals_total"], len(site.server.lines)
    tab.run("CABBA" * 10)
    expect(tab.alert).to_contain_text("20")
    said = [line for line in site.server.lines[lines:] if "refused kind=" in line]
    assert len(said) == 1
    assert said[0].endswith("refused kind=text address=127.0.0.1")
    assert figures(site)["txpanel_refusals_total"] == before + 1
