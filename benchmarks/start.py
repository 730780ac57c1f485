"""``python -m benchmarks.start``: from the start of the process to a page that can be used, and what each visitor then waits for, in a real Chromium.

Writes tables B-10 and B-10b of results.json and docs/benchmarks.md (``--show``: only prints them). B-10: seconds since the process started (wall
clock), CPU seconds of the server by then, and what the browser had received. B-10b: the first visitor, one with an empty cache, the same one
again, one beside another who has the page open (tabs: `benchmarks.tabs`); ``--before FOLDER`` measures an older checkout beside it. The model must be in the
cache; the first of the starts is not counted, so that files are in the system's cache too. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import report
from benchmarks.drawing import FLAGS
from benchmarks.tables import Cell, Table
from benchmarks.visits import Visit, visit
from txpanel.models.doctor import find_browser

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
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(page: Page, model: str, text: str) -> Run:
    """Starts a server and opens its page; the server is stopped at the end."""
    run = Run(began=time.monotonic())
    with served(model) as server:
        run.process = server.pid
        _visit(page, run, _address(server), text)
    return run


@contextmanager
def served(model: str, first: str = "", root: Path = APP.parent, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``panel serve txpanel`` in a process of its own, stopped at the end; `first` is Python that runs before anything else."""
    settings = {**os.environ, "TXPANEL_MODEL": model, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(root), **environment}
    serve = ["panel", "serve", str(root / "txpanel"), "--port", "0"]
    run = f"import sys; sys.argv = {serve!r}; {first}\nfrom panel.command import main\nmain()"
    command = [sys.executable, "-c", run] if first else [sys.executable, "-m", *serve]
    with subprocess.Popen(  # in its own folder: where a process stands comes before PYTHONPATH
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings, cwd=root
    ) as server:
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
    return find_browser(("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"))


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


SEEN = {"bar": "bar with the model's name", "flow": "flow with its numbers", "live": "both live", "view": "first view"}
COUNTED = ("messages", "requests", "blobs", "received", "document")
IMPORTS = """import os, txpanel.server.session_page as page; page.warm_up(); print(open("/proc/self/statm").read().split()[1])"""


@dataclass
class Opening:
    """What visitors of one version of txpanel waited for."""

    root: Path
    first: list[dict[str, float]] = field(default_factory=list)  # since the process started
    own: list[float] = field(default_factory=list)  # bytes after the first page, without imports and weights
    visits: dict[str, list[Visit]] = field(default_factory=dict)

    def measure(self, browser: Browser, model: str, repeat: int, weights: int) -> None:
        """One start, then visitors of the server that runs."""
        imports = _imports(self.root)
        with served(model, root=self.root) as server:
            process, address = server.pid, _address(server)
            born = time.time() - _age(process)

            def cpu() -> float:
                return _cpu(process)

            context = browser.new_context()
            found = visit(context, address, cpu)
            self.first.append({name: found.origin + seconds - born for name, seconds in found.seen.items()})
            self.own.append(_resident(process) - imports - weights)
            context.close()
            for _again in range(repeat):
                context = browser.new_context()
                self._add("cold", visit(context, address, cpu))
                found = visit(context, address, cpu)
                self._add("warm", found)
                other = browser.new_context()
                self._add("second", visit(other, address, cpu))
                other.close()
                context.close()

    def _add(self, kind: str, found: Visit) -> None:
        self.visits.setdefault(kind, []).append(found)

    def rows(self) -> dict[str, tuple[str, float]]:
        """Median of each figure, with its unit."""
        found: dict[str, tuple[str, float]] = {}
        for name, words in SEEN.items():
            found[f"process start: {words}"] = ("s", median(one[name] for one in self.first))
        found["process start: own memory after the first page"] = ("MB", median(self.own))
        for kind, words in (("cold", "empty cache"), ("warm", "again"), ("second", "beside an open page")):
            for name, what in SEEN.items():
                found[f"{words}: {what}"] = ("s", median(one.seen[name] for one in self.visits[kind]))
            found[f"{words}: CPU of the server"] = ("s", median(one.cpu for one in self.visits[kind]))
        for name in COUNTED:
            found[f"empty cache: {name}"] = ("count", median(getattr(one, name) for one in self.visits["cold"]))
        return found


def _age(process: int) -> float:
    """Seconds that a process has been there."""
    started = int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]) / os.sysconf(
        "SC_CLK_TCK"
    )
    up = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    return up - started


def _resident(process: int) -> float:
    return float(
        int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    )


def _imports(root: Path) -> float:
    """Bytes of a process that has imported all that a server imports, without a model."""
    settings = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, env=settings, cwd=root
    )
    return float(int(run.stdout.split()[-1]) * os.sysconf("SC_PAGE_SIZE"))


def opened(before: Opening | None, now: Opening, model: str) -> Table:
    """All figures, those of an older version beside them."""
    columns = [("what", ""), *([("before", "")] if before else []), ("now", "")]
    note = (
        f"{model}, its default text, a window of 1440 × 900; Chromium and server on one machine, {around()}. Medians of {len(now.visits['cold'])} visits "
        f"and {len(now.first)} starts. “Empty cache” and “again” are the same browser's first and second visit of a server that has had visitors."
    )
    found = Table("B-10b", "What a visitor waits for", note, columns)
    older = before.rows() if before else {}
    for what, (unit, value) in now.rows().items():
        cells: list[Cell] = [_words(*older[what])] if what in older else [""] if before else []
        found.rows.append([what, *cells, _words(unit, value)])
    return found


def _words(unit: str, value: float) -> str:
    return {"s": f"{value:.2f} s", "MB": f"{value / 1e6:,.0f} MB", "count": f"{value:,.0f}"}[unit]


def visitors(browser: Browser, chosen: argparse.Namespace) -> Table:
    """B-10b; the versions in turn."""
    import txpanel  # late: seconds

    weights = txpanel.load(chosen.model).nbytes
    now = Opening(APP.parent)
    before = Opening(Path(chosen.before).resolve()) if chosen.before else None
    for _again in range(chosen.starts):
        for one in (before, now):
            if one is not None:
                one.measure(browser, chosen.model, max(1, -(-chosen.repeat // chosen.starts)), weights)
    return opened(before, now, chosen.model)


def main() -> None:
    chosen = options(
        "start",
        __doc__,
        text=(TEXT, "the prompt"),
        repeat=(5, "visits that count"),
        starts=(3, "starts that count"),
        before=("", "folder of an older checkout, measured beside this one"),
    )
    runs = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        for _again in range(chosen.starts + 1):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            runs.append(start(page, chosen.model, chosen.text))
            page.close()
        report.keep(table(runs[1:], chosen.model, chosen.text), show=chosen.show)
        report.keep(visitors(browser, chosen), show=chosen.show)
        browser.close()


if __name__ == "__main__":
    main()
