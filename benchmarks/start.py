"""``python -m benchmarks.start``: from the start of the process to a page that can be used, in a real Chromium.

Writes table B-10 of results.json and docs/benchmarks.md (``--show``: only prints it): seconds since the process started (wall clock), CPU
seconds of the server by then, and what the browser had received. The model must be in the cache; the first of the starts is not counted, so
that files are in the system's cache too. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks import report
from benchmarks.drawing import FLAGS
from benchmarks.tables import Table

APP = Path(__file__).parents[1] / "txpanel"
TEXT = "Data visualization empowers users to"
SCRIPTS = {
    "bar painted": "() => performance.getEntriesByName('first-contentful-paint').length > 0",
    "flow drawn": "() => { const find = root => root.querySelector('.flow[data-shows]') ?? [...root.querySelectorAll('*')]"
    ".map(e => e.shadowRoot && find(e.shadowRoot)).find(Boolean); return Boolean(find(document)) }",
}


@dataclass
class Run:
    """One start: what happened after how many seconds, CPU seconds and received bytes."""

    rows: list[tuple[str, float, float, int, int]] = field(default_factory=list)
    received: int = 0
    messages: int = 0
    began: float = 0.0
    process: int = 0

    def mark(self, what: str) -> None:
        self.rows.append((what, time.monotonic() - self.began, _cpu(self.process), self.received, self.messages))


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(page: Page, model: str, text: str) -> Run:
    """Starts a server and opens its page; the server is stopped at the end."""
    run = Run(began=time.monotonic())
    with served(model) as server:
        run.process = server.pid
        _visit(page, run, _address(server), text)
    return run


@contextmanager
def served(model: str, first: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``panel serve txpanel`` in a process of its own, stopped at the end; `first` is Python that runs before anything else."""
    settings = {**os.environ, "TXPANEL_MODEL": model, "PYTHONUNBUFFERED": "1", **environment}
    serve = ["panel", "serve", str(APP), "--port", "0"]
    run = f"import sys; sys.argv = {serve!r}; {first}\nfrom panel.command import main\nmain()"
    command = [sys.executable, "-c", run] if first else [sys.executable, "-m", *serve]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings) as server:
        try:
            yield server
        finally:
            server.terminate()
            server.communicate()  # its last words: a closed pipe would keep it from stopping


@contextmanager
def page_of(model: str, **look: Any) -> Iterator[tuple[Page, subprocess.Popen[str], str]]:
    """A window of 1440 x 900 in a browser, a server of its own for it, and that server's address."""
    with served(model, TXPANEL_PLUGINS="none") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        yield browser.new_page(viewport={"width": 1440, "height": 900}, **look), server, _address(server)
        browser.close()


def options(module: str, description: str | None, **more: tuple[Any, str]) -> argparse.Namespace:
    """What the command line says: ``--model``, ``--show``, and `more` by name, with what is usual and a sentence."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    parser.add_argument("--model", default="smollm2-135m")
    for name, (usual, words) in more.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual, help=words)
    parser.add_argument("--show", action="store_true", help="print the table and keep nothing")
    return parser.parse_args()


def chromium() -> str | None:
    """Where the browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def around() -> str:
    """On what, and how busy it was."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://\S+", line):
            return found.group(0)
    raise RuntimeError("the server did not start")


def _visit(page: Page, run: Run, address: str, text: str) -> None:
    def frame(data: Any) -> None:
        run.received += len(data)
        run.messages += 1

    run.mark("server answers")
    page.on("websocket", lambda socket: socket.on("framereceived", frame))
    answer = page.goto(f"{address}?text={text}", wait_until="commit")
    run.received += len(answer.body()) if answer else 0
    run.mark("document received")
    for what, script in SCRIPTS.items():
        page.wait_for_function(script, timeout=120_000)
        run.mark(what)
    page.get_by_role("tab", selected=True).wait_for(timeout=120_000)
    page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for(timeout=120_000)
    run.mark("first view open")


def table(runs: list[Run], model: str, text: str) -> Table:
    """Medians over the runs."""
    columns = [
        ("until", ""),
        ("since the process started", "s"),
        ("CPU of the server", "s"),
        ("received", "bytes"),
        ("messages", "count"),
    ]
    note = (
        f"{model}, “{text}”, {len(runs)} starts after one that is not counted; Chromium and server on one machine, {around()}. Medians, time on "
        "the wall. Files and model are in the system's cache."
    )
    found = Table("B-10", "From the start of the process to a page that can be used", note, columns)
    for rows in zip(*(run.rows for run in runs), strict=True):
        seconds, cpu, received, messages = (median(row[i] for row in rows) for i in (1, 2, 3, 4))
        found.rows.append([rows[0][0], seconds, cpu, round(received), round(messages)])
    return found


def main() -> None:
    chosen = options("start", __doc__, text=(TEXT, "the prompt"), repeat=(3, "starts that count"))
    runs = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        for _again in range(chosen.repeat + 1):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            runs.append(start(page, chosen.model, chosen.text))
            page.close()
        browser.close()
    report.keep(table(runs[1:], chosen.model, chosen.text), show=chosen.show)


if __name__ == "__main__":
    main()
