"""``python -m benchmarks.tabs``: how long each tab takes when a visitor opens it for the first time, and what comes for it, in a real Chromium.

Writes table B-10c of results.json and docs/benchmarks.md (``--show``: only prints it); ``--before FOLDER`` measures an older checkout in turn with
this one. The first visitor of each server is not counted: what a process makes once is there then. The model must be in the cache. Linux only.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from benchmarks import report
from benchmarks.drawing import FLAGS
from benchmarks.start import APP, _address, _cpu, around, chromium, options, served
from benchmarks.tables import Cell, Column, Table
from benchmarks.visits import Opened, open_tabs, visit

Tabs = dict[str, list[Opened]]
SAID = {
    "first": ("first picture", "ms"),
    "all": ("all in the window", "ms"),
    "cpu": ("CPU of the server", "ms"),
    "received": ("received", "bytes"),
    "messages": ("messages", "count"),
}
"""What of an opening is told, and in which unit."""


def measure(browser: Browser, roots: dict[Path, Tabs], model: str, visitors: int) -> None:
    """A server for each version, all at once, and visitors in turn who open all tabs: what else the machine does hits all alike."""
    with ExitStack() as stack:
        servers = {root: stack.enter_context(served(model, root=root, TXPANEL_PLUGINS="none")) for root in roots}
        addresses = {root: _address(server) for root, server in servers.items()}
        for visitor in range(visitors + 1):
            for root, into in roots.items():
                cpu = partial(_cpu, servers[root].pid)
                context = browser.new_context()
                found = visit(context, addresses[root], cpu)
                open_tabs(found, cpu)
                for name, opened in found.tabs.items() if visitor else ():
                    into.setdefault(name, []).append(opened)
                context.close()


def table(before: Tabs, now: Tabs, model: str) -> Table:
    """Medians, those of an older version beside them."""
    note = (
        f"{model}, its default text, a window of 1440 × 900; Chromium and server on one machine, {around()}. Medians of "
        f"{len(next(iter(now.values())))} visitors; time on the wall from the click."
    )
    columns: list[Column] = [("tab", "")]
    for what, unit in SAID.values():
        columns += [*([(f"{what}, before", unit)] if before else []), (what, unit)]
    found = Table("B-10c", "A tab's first opening", note, columns)
    for name in now:
        cells: list[Cell] = [name]
        for key, (_what, unit) in SAID.items():
            for tabs in (before, now) if before else (now,):
                value = median(getattr(one, key) for one in tabs[name])
                cells.append(value if unit == "ms" else round(value))
        found.rows.append(cells)
    return found


def main() -> None:
    chosen = options(
        "tabs",
        __doc__,
        repeat=(5, "visitors that count"),
        before=("", "folder of an older checkout, measured in turn with this one"),
    )
    before: Tabs = {}
    now: Tabs = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        older = {Path(chosen.before).resolve(): before} if chosen.before else {}
        measure(browser, {**older, APP.parent: now}, chosen.model, chosen.repeat)
        browser.close()
    report.keep(table(before, now, chosen.model), show=chosen.show)


if __name__ == "__main__":
    main()
