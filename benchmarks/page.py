"""``python -m benchmarks.page``: from a click to the frame that shows it, in a real Chromium; with bytes and elements.

Writes table B-03b of results.json and docs/benchmarks.md (``--show``: only prints it): milliseconds from the click to the frame in which the
flow's new pixels are (reduced motion: with motion an ease of 280 ms begins in that frame), milliseconds until all that is in the window shows
the change (at the top of the page that is the flow; further down the pictures of the open view too), CPU milliseconds of the server, and bytes
and messages that it sent. The model must be in the cache. Run it on a quiet machine. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page

from benchmarks import report
from benchmarks.start import _cpu, around, options, page_of
from benchmarks.tables import Cell, Table

WORDS = (
    "Data visualization empowers users to see patterns in numbers and a language model is nothing but numbers: every token becomes a vector, "
    "every vector is changed by each block that it passes, and what comes out in the end is a share for each word that may come next. "
) * 6
QUIET = 0.6
"""Seconds without a message after which a change counts as over."""
FLOW = "const find = root => root.querySelector('.flow') ?? [...root.querySelectorAll('*')].map(e => e.shadowRoot && find(e.shadowRoot)).find(Boolean);"
FIND = """const deep = (root, test) => { for (const e of root.querySelectorAll('*')) { if (test(e)) return e;
  const found = e.shadowRoot && deep(e.shadowRoot, test); if (found) return found } };"""
BUNDLE = "performance.getEntriesByType('resource').map((one) => one.name).find((name) => name.includes('/txpanel/txpanel.js'))"
CLICK = f"""async ([selector, heading]) => {{ {FLOW} {FIND}
  const {{settled}} = await importShim({BUNDLE});
  const flow = find(document), was = flow.dataset.shows, start = performance.now();
  const title = () => deep(document, (e) => e.localName === 'h3' && /^Attention, block/.test(e.textContent))?.textContent, before = heading && title();
  flow.querySelector(selector).click();
  let shown = 0;
  while (performance.now() - start < 30000) {{
    await new Promise(requestAnimationFrame);
    if (!shown && flow.dataset.shows !== was) shown = performance.now() - start;
    if (shown && (!heading || (title() !== before && settled()))) return [shown, performance.now() - start];
  }}
  throw Error(`${{selector}}: nothing new after 30 s (${{flow.dataset.shows}}, ${{before}}, ${{title()}})`) }}"""
SCROLL = f"""() => {{ {FIND} deep(document, (e) => e.localName === 'h3' && /^Attention, block/.test(e.textContent))?.scrollIntoView({{block: 'start'}}) }}"""
TOP = f"() => {{ {FLOW} find(document).scrollIntoView({{block: 'end'}}) }}"
TYPED = f"""async (start) => {{ {FLOW}
  const flow = find(document).flow;
  while (flow.tokens === window.before) await new Promise(requestAnimationFrame);
  return [performance.now() - window.start, performance.now() - window.start] }}"""
REMEMBER = f"() => {{ {FLOW} window.before = find(document).flow.tokens; window.start = performance.now() }}"
COUNT = """() => { const all = root => [...root.querySelectorAll('*')].reduce((n, e) => n + 1 + (e.shadowRoot ? all(e.shadowRoot) : 0), 0);
  return all(document) }"""
PART = f"() => {{ {FLOW} return find(document).querySelectorAll('*').length }}"
TOKENS = f"() => {{ {FLOW} return find(document)?.flow?.tokens?.total ?? 0 }}"


@dataclass
class Change:
    """One kind of change, several times: seconds to the flow's frame, to all in the window and of the server's CPU; bytes, messages."""

    what: str
    rows: list[tuple[float, float, float, int, int]] = field(default_factory=list)

    def cells(self) -> list[Cell]:
        """Its row of the table."""
        shown, whole, cpu, received, messages = (median(row[i] for row in self.rows) for i in range(5))
        return [self.what, shown, max(row[0] for row in self.rows), whole, cpu, round(received), round(messages)]


class Meter:
    """Bytes and messages of a page's websocket, and when the last one came."""

    def __init__(self, page: Page, process: int) -> None:
        self.page, self.process = page, process
        self.received = self.messages = 0
        self.last = time.monotonic()
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _frame(self, data: Any) -> None:
        self.received += len(data)
        self.messages += 1
        self.last = time.monotonic()

    def settle(self) -> None:
        """Waits until nothing has arrived for a while."""
        while time.monotonic() - self.last < QUIET:
            self.page.wait_for_timeout(50)

    def measure(self, change: Change, act: Callable[[], list[float]]) -> None:
        """Does something that says after how many milliseconds it was seen, in the flow and in all of the window, and notes what it cost."""
        self.settle()
        received, messages, cpu = self.received, self.messages, _cpu(self.process)
        self.last = time.monotonic()
        shown, whole = act()
        self.settle()
        sent = (self.received - received, self.messages - messages)
        change.rows.append((shown / 1000, whole / 1000, _cpu(self.process) - cpu, *sent))


def type_text(page: Page, text: str) -> list[float]:
    """Types a text and runs it; milliseconds until the flow shows it, twice."""
    prompt = page.get_by_role("textbox", name="Prompt")
    prompt.fill(text)
    page.evaluate(REMEMBER)
    prompt.press("Enter")
    return [float(milliseconds) for milliseconds in page.evaluate(TYPED)]


def text_of(page: Page, tokens: int) -> str:
    """Runs a text of exactly so many tokens, found with the page's own tokenizer."""
    words = WORDS.split(" ")
    count = tokens // 2
    for _try in range(12):
        text = " ".join(words[:count])
        type_text(page, text)
        found = int(page.evaluate(TOKENS))
        if found == tokens:
            break
        count += (tokens - found) or 1
    return text


def run(page: Page, address: str, process: int, chosen: argparse.Namespace) -> tuple[list[Change], list[str]]:
    """All changes on one page, and what was counted on it."""
    meter = Meter(page, process)
    page.goto(f"{address}?text={quote(WORDS.split()[0])}&layer=3&view={chosen.view}")
    page.locator(".flow[data-shows]").wait_for(timeout=120_000)
    text = text_of(page, chosen.tokens)
    if chosen.view != "flow":
        page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for(timeout=120_000)
    changes = _places(page, meter, chosen.repeat, pictures=chosen.view == "attention")
    page.evaluate(TOP)
    typed = Change("another text")
    for i in range(max(3, chosen.repeat // 3)):
        meter.measure(typed, lambda i=i: type_text(page, f"{text} {'abcdefghij'[i % 10]}"))  # type: ignore[misc]
    counted = [f"elements of the whole page with the view “{chosen.view}” open: {page.evaluate(COUNT):,}"]
    page.locator("button.all").click()
    page.wait_for_timeout(1500)
    meter.settle()
    counted.append(f"elements of the flow with all heads of all blocks shown: {page.evaluate(PART):,}")
    return [*changes, typed], counted


def _places(page: Page, meter: Meter, repeat: int, *, pictures: bool) -> list[Change]:
    """Another head and another block, at the top of the page and with the pictures in the window."""
    found = []
    for place, scroll in (("the flow in the window", TOP), ("pictures in the window", SCROLL)):
        if scroll == SCROLL and not pictures:
            continue
        page.evaluate(scroll)
        head, block = Change(f"another head, {place}"), Change(f"another block, {place}")
        for i in range(
            len(found) // 2 * repeat, (len(found) // 2 + 1) * repeat
        ):  # each time another one, from place to place too
            for change, selector in (
                (head, f"button.head[data-head='{1 + i % 2}']"),
                (block, f".pager button:{'last' if i % 2 == 0 else 'first'}-of-type"),
            ):
                meter.measure(change, partial(page.evaluate, CLICK, [selector, scroll == SCROLL]))
        found += [head, block]
    return found


def main() -> None:
    chosen = options(
        "page",
        __doc__,
        tokens=(64, "of the text"),
        view=("attention", "what is open below the flow; flow: nothing"),
        repeat=(9, "changes of each kind"),
    )
    with page_of(chosen.model, reduced_motion="reduce") as (page, server, address):
        changes, counted = run(page, address, server.pid, chosen)
    note = (
        f"{chosen.model}, {chosen.tokens} tokens, the view “{chosen.view}” open, a window of 1440 × 900; Chromium and server on one machine, "
        f"{around()}. Time on the wall from the click (or Enter) to the frame with the flow's new pixels, and to the frame in which all that is "
        f"in the window shows the change; medians of {chosen.repeat}. " + "; ".join(counted).capitalize() + "."
    )
    columns = [
        ("change", ""), ("flow", "ms"), ("flow, greatest", "ms"), ("all in the window", "ms"), ("CPU of the server", "ms"), ("sent", "bytes"),
        ("messages", "count"),
    ]  # fmt: skip
    report.keep(
        Table("B-03b", "From a click to new pixels", note, columns, [change.cells() for change in changes]),
        show=chosen.show,
    )


if __name__ == "__main__":
    main()
