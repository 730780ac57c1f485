"""``python -m benchmarks.replacements``: what each workaround brings that replaces something for a whole process or page.

Writes tables R-01 to R-05 of results.json and docs/benchmarks.md (``--show``: only prints them): the page as it is, and the page without one of
them, all in turn in one run. R-01: changes in a real Chromium, with the server's CPU. R-02: the start of a process. R-03: memory of a server
after generating. R-04: sorting in the sampling pipeline. R-05: pages that close.
`write_queue`, `early_changes`, `closed_tabs` and those that are not listed are about being right, not fast.
The model must be in the cache. Run it on a quiet machine. Linux only (/proc).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from subprocess import Popen
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from transformers.generation.logits_process import TopPLogitsWarper, TypicalLogitsWarper

from benchmarks import report
from benchmarks.closings import stands_still
from benchmarks.drawing import FLAGS
from benchmarks.measuring import interleave
from benchmarks.page import FLOW, WORDS
from benchmarks.start import TEXT, Run, _address, _cpu, _visit, around, chromium, options, served
from benchmarks.tables import Cell, Table
from benchmarks.timeline import memory
from txpanel.decoding.fast_sort import TopP, TypicalP
from txpanel.sampling import pipeline

ALL = "**txpanel**"
LEFT_OUT = "from txpanel.compat import process_wide as p; p.AT = {{when: tuple(n for n in names if n != {name!r}) for when, names in p.AT.items()}}"
PYTHON = {
    "style_lookup": LEFT_OUT.format(name="style_lookup"),
    "known_models": LEFT_OUT.format(name="known_models"),
    "one_look_through": "from txpanel.compat import one_look_through as o; o._as_known = lambda: False",
    "page_leak": "from txpanel.compat import page_leak as l; l.release = lambda page: None",
}
"""Workarounds in the server: what a process runs first to be without."""
AT_START = {"lean_imports": LEFT_OUT.format(name="lean_imports")}
FOR_MEMORY = {"shared_heap": LEFT_OUT.format(name="shared_heap")}
AT_CLOSING = {"late_collection": LEFT_OUT.format(name="late_collection")}

Methods = dict[tuple[str, str], tuple[str, ...]]
BROWSER: dict[str, Methods] = {
    "paint_queue": {("models/plots/plot_canvas", "PlotView"): ("schedule_paint",)},
    "local_layout": {
        ("models/layouts/layout_dom", "LayoutDOMView"): (
            "compute_layout",
            "invalidate_layout",
            "update_layout",
            "_after_resize",
        )
    },
}
"""Workarounds in the page: which methods of BokehJS stay as they are."""
KEEP = """for (const [module, name, method] of %s) { const own = Bokeh.require(module)[name].prototype, value = own[method];
  Object.defineProperty(own, method, {get: () => value, set() {}}) }
"""
WATCH = """{ const P = Bokeh.require("models/plots/plot_canvas").PlotView.prototype, own = P.repaint; window.painted = 0;
  P.repaint = function (...given) { const done = own.apply(this, given), at = this.el.getBoundingClientRect();
    if (at.width && at.bottom > 0 && at.top < innerHeight) window.painted = performance.now(); return done } }
"""
CLICK = f"""async (selector) => {{ {FLOW}
  const flow = find(document), was = flow.dataset.shows, start = performance.now();
  let shown = 0, last = start, longest = 0;
  window.painted = 0;
  flow.querySelector(selector).click();
  while (performance.now() - start < 30000) {{
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!shown && flow.dataset.shows !== was) shown = now - start;
    if (shown && now - Math.max(start + shown, window.painted) > 700) return [shown, Math.max(shown, window.painted - start), longest];
  }}
  throw Error(`${{selector}}: nothing new after 30 s`) }}"""
"""Milliseconds from a click to the flow's new frame and to the last figure painted in the window, and the longest time without a frame."""
INTO_SIGHT = """() => { const deep = (root, test) => { for (const e of root.querySelectorAll('*')) { if (test(e)) return e;
  const found = e.shadowRoot && deep(e.shadowRoot, test); if (found) return found } };
  deep(document, (e) => e.localName === 'h3' && /^Attention, block/.test(e.textContent))?.scrollIntoView({block: 'start'}) }"""


@dataclass
class Case:
    """A server and its page, with one workaround left out or none.

    Attributes:
        times: by kind of change, one row for each: seconds to the flow's frame, to the last figure, without a frame, of the server's CPU.
    """

    name: str
    server: Popen[str]
    page: Page
    times: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)

    def click(self, what: str, selector: str) -> None:
        """One change."""
        self.page.bring_to_front()
        cpu = _cpu(self.server.pid)
        seen: list[float] = self.page.evaluate(CLICK, selector)
        row = (*(milliseconds / 1000 for milliseconds in seen), _cpu(self.server.pid) - cpu)
        self.times.setdefault(what, []).append(row)


def kept(methods: Methods) -> str:
    """JavaScript for the beginning of our bundle: these methods can't be replaced."""
    found = [[module, name, method] for (module, name), names in methods.items() for method in names]
    return KEEP % found


def show(page: Page, methods: Methods) -> None:
    """Lets a page note when figures are painted, and leaves methods of its Bokeh as they are."""

    def bundle(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=kept(methods) + WATCH + answer.text())

    page.route("**/txpanel.js*", bundle)


@contextmanager
def without(model: str, first: str) -> Iterator[Popen[str]]:
    """A server whose process runs a line of Python first."""
    with served(model, first=first, TXPANEL_PLUGINS="none") as server:
        yield server


def opened(stack: ExitStack, browser: Browser, chosen: Any, name: str) -> Case:
    """A case, ready for the first click."""
    server = stack.enter_context(without(chosen.model, PYTHON.get(name, "")))
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    show(page, BROWSER.get(name, {}))
    text = " ".join(WORDS.split()[: chosen.words])
    page.goto(f"{_address(server)}?text={quote(text)}&view=attention")
    page.locator(".flow[data-shows]").wait_for(timeout=120_000)
    page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for(timeout=120_000)
    page.evaluate(INTO_SIGHT)
    page.wait_for_timeout(2000)
    return Case(name, server, page)


def changes(browser: Browser, chosen: Any) -> Table:
    """R-01: another head and another block, in all cases in turn."""
    with ExitStack() as stack:
        cases = [opened(stack, browser, chosen, name) for name in chosen_of((*PYTHON, *BROWSER), chosen.without)]
        for i in range(chosen.repeat + 1):
            for case in cases:
                case.click("another head", f"button.head[data-head='{1 + i % 2}']")
                case.click("another block", f".pager button:{'last' if i % 2 == 0 else 'first'}-of-type")
    columns = [
        ("change", ""), ("flow", "ms"), ("last figure in the window", "ms"), ("longest without a frame", "ms"), ("CPU of the server", "ms"),
    ]  # fmt: skip
    note = (
        f"{chosen.model}, {chosen.words} words, the view “attention” in a window of 1440 × 900; a server and a page for each row, in turn, Chromium "
        f"on the same machine, {around()}. Medians of {chosen.repeat} after one that is not counted."
    )
    table = Table("R-01", "A change with and without each replacement", note, columns)
    for what in cases[0].times:
        for case in cases:
            rows = case.times[what][1:]
            cells: list[Cell] = [median(row[i] for row in rows) for i in range(4)]
            table.rows.append([f"{what}: {named(case.name)}", *cells])
    return table


def starts(browser: Browser, chosen: Any) -> Table:
    """R-02: from the process to the first view, in all cases in turn."""
    runs: dict[str, list[Run]] = {name: [] for name in chosen_of(AT_START, chosen.without)}
    for _again in range(chosen.starts + 1):
        for name, found in runs.items():
            run = Run(began=time.monotonic())
            with without(chosen.model, AT_START.get(name, "")) as server:
                run.process = server.pid
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                _visit(page, run, _address(server), TEXT)
                page.close()
            found.append(run)
    note = f"{chosen.model}; medians of {chosen.starts} starts after one that is not counted, {around()}."
    columns = [("until the first view is open", ""), ("since the process started", "s"), ("CPU of the server", "s")]
    rows: list[list[Cell]] = [
        [named(name), *(median(run.rows[-1][i] for run in found[1:]) for i in (1, 2))] for name, found in runs.items()
    ]
    return Table("R-02", "A start with and without each replacement", note, columns, rows)


def heaps(browser: Browser, chosen: Any) -> Table:
    """R-03: memory of a server that has generated on a page."""
    rows: list[list[Cell]] = []
    for name in chosen_of(FOR_MEMORY, chosen.without):
        with without(chosen.model, FOR_MEMORY.get(name, "")) as server:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{_address(server)}?text={quote(TEXT)}&temperature=0&view=attention")
            page.locator(".flow[data-shows]").wait_for(timeout=120_000)
            before = memory(server.pid)
            append_button(page).wait_for()
            for _token in range(chosen.tokens):
                step(page)
            rows.append([named(name), before, memory(server.pid)])
            page.close()
    note = f"{chosen.model}, {chosen.tokens} tokens, one after the other, {around()}."
    columns = [("server", ""), ("before", "MB"), ("after", "MB")]
    return Table("R-03", "Memory with and without each replacement", note, columns, rows)


def closings(chosen: Any) -> Table:
    """R-05: how long nobody is answered while pages close."""
    rows: list[list[Cell]] = []
    for name in chosen_of(AT_CLOSING, chosen.without):
        with without(chosen.model, AT_CLOSING.get(name, "")) as server:
            found = [stands_still(_address(server), 6) for _again in range(chosen.starts)]
            rows.append([named(name), *(1000 * median(times) for times in zip(*found, strict=True))])
    note = (
        f"{chosen.model}; six visitors with four views each, of whom three leave, one after the other; longest answer of /health and the sum of those "
        f"over 50 ms, medians of {chosen.starts}, {around()}."
    )
    columns = [("server", ""), ("longest without an answer", "ms"), ("in all", "ms")]
    return Table("R-05", "Pages that close, with and without each replacement", note, columns, rows)


def append_button(page: Page) -> Locator:
    """The button that appends the drawn token; its name goes on with a sentence."""
    return page.get_by_role("button", name=re.compile(r"^\+1\b"))


def step(page: Page) -> None:
    """One more token, and its picture."""
    page.evaluate(f"() => {{ {FLOW} window.before = find(document).dataset.shows }}")
    append_button(page).click()
    page.wait_for_function(f"() => {{ {FLOW} return find(document).dataset.shows !== window.before }}", timeout=60_000)


def sorting(repeat: int, vocabulary: int = 50_257) -> Table:
    """R-04: top-p and typical-p with our sort and with transformers' own, in one process."""
    logits = np.random.default_rng(0).normal(0, 3, vocabulary).astype(np.float32)
    note = (
        f"{vocabulary:,} logits, one token through the pipeline; the same numbers from both. The sort is our own code (`decoding/fast_sort.py`), "
        "in the place of transformers' processors in our pipeline only."
    )
    table = Table("R-04", "Sorting in the pipeline", note, [("stage and sort", ""), ("best", "ms"), ("ratio", "times")])
    settings: dict[str, tuple[dict[str, Any], Any, Any]] = {
        "top-p 0.9": ({"top_p": 0.9}, TopP, TopPLogitsWarper),
        "typical-p 0.9": ({"typical_p": 0.9}, TypicalP, TypicalLogitsWarper),
    }
    for title, (given, ours, theirs) in settings.items():

        def own(given: dict[str, Any] = given, ours: Any = ours, theirs: Any = theirs) -> None:
            kept, ours.__call__ = ours.__call__, theirs.__call__
            try:
                pipeline(logits, **given)
            finally:
                ours.__call__ = kept

        cases: dict[str, Callable[[], Any]] = {ALL: partial(pipeline, logits, **given), "without fast_sort": own}
        table.rows += [[f"{title}: {name}", t.best, t.ratio] for name, t in interleave(cases, repeat).items()]
    return table


def chosen_of(names: Iterable[str], wanted: str) -> list[str]:
    """The page as it is, then without each of these; `wanted` names those to take, joined by commas, or none for all."""
    return [ALL, *(name for name in names if not wanted or name in wanted.split(","))]


def named(name: str) -> str:
    """How a row says which case it is."""
    return name if name == ALL else f"without {name}"


def main() -> None:
    chosen = options(
        "replacements",
        __doc__,
        words=(48, "of the text"),
        repeat=(9, "changes of each kind"),
        starts=(3, "that count"),
        tokens=(100, "to generate"),
        without=("", "which replacements, such as paint_queue,local_layout; all by default"),
        only=("R-01,R-02,R-03,R-04,R-05", "which tables"),
    )
    wanted = chosen.only.split(",")
    if "R-04" in wanted:
        report.keep(sorting(chosen.repeat), show=chosen.show)
    if "R-05" in wanted:
        report.keep(closings(chosen), show=chosen.show)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        for name, measure in {"R-01": changes, "R-02": starts, "R-03": heaps}.items():
            if name in wanted:
                report.keep(measure(browser, chosen), show=chosen.show)
        browser.close()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
