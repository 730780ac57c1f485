"""``python -m benchmarks.page``: from a click to the frame that shows it, in a real Chromium; with bytes and elements.

Prints a Markdown table: milliseconds from the click to the frame in which the flow's new pixels are (reduced motion: with motion an ease of
280 ms begins in that frame), milliseconds until nothing more arrives, CPU milliseconds of the server, and bytes and messages that it sent for it.
The model must be in the cache. Run it on a quiet machine. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from benchmarks.drawing import FLAGS
from benchmarks.start import APP, _address, _cpu

WORDS = (
    "Data visualization empowers users to see patterns in numbers and a language model is nothing but numbers: every token becomes a vector, "
    "every vector is changed by each block that it passes, and what comes out in the end is a share for each word that may come next. "
) * 6
QUIET = 0.6
"""Seconds without a message after which a change counts as over."""
FLOW = "const find = root => root.querySelector('.flow') ?? [...root.querySelectorAll('*')].map(e => e.shadowRoot && find(e.shadowRoot)).find(Boolean);"
CLICK = f"""async (selector) => {{ {FLOW}
  const flow = find(document), was = flow.dataset.shows, start = performance.now();
  flow.querySelector(selector).click();
  while (flow.dataset.shows === was) await new Promise(requestAnimationFrame);
  return performance.now() - start }}"""
TYPED = f"""async (start) => {{ {FLOW}
  const flow = find(document).flow;
  while (flow.tokens === window.before) await new Promise(requestAnimationFrame);
  return performance.now() - window.start }}"""
REMEMBER = f"() => {{ {FLOW} window.before = find(document).flow.tokens; window.start = performance.now() }}"
COUNT = """() => { const all = root => [...root.querySelectorAll('*')].reduce((n, e) => n + 1 + (e.shadowRoot ? all(e.shadowRoot) : 0), 0);
  return all(document) }"""
PART = f"() => {{ {FLOW} return find(document).querySelectorAll('*').length }}"
TOKENS = f"() => {{ {FLOW} return find(document)?.flow?.tokens?.total ?? 0 }}"


@dataclass
class Change:
    """One kind of change, several times: milliseconds to the frame and to quiet, CPU milliseconds, bytes, messages."""

    what: str
    rows: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    def line(self) -> str:
        frame, quiet, cpu, received, messages = (median(row[i] for row in self.rows) for i in range(5))
        worst = max(row[0] for row in self.rows)
        return f"| {self.what} | {frame:.0f} | {worst:.0f} | {quiet:.0f} | {cpu:.0f} | {received / 1000:.1f} | {messages:.0f} |"


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

    def measure(self, change: Change, act: Callable[[], float]) -> None:
        """Does something that says how long its frame took, and notes what it cost."""
        self.settle()
        received, messages, cpu, began = self.received, self.messages, _cpu(self.process), time.monotonic()
        self.last = began
        frame = act()
        self.settle()
        used = 1000 * (_cpu(self.process) - cpu)
        change.rows.append(
            (frame, 1000 * (self.last - began), used, self.received - received, self.messages - messages)
        )


def type_text(page: Page, text: str) -> float:
    """Types a text and runs it; milliseconds until the flow shows it."""
    prompt = page.get_by_role("textbox", name="Prompt")
    prompt.fill(text)
    page.evaluate(REMEMBER)
    prompt.press("Enter")
    return float(page.evaluate(TYPED))


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


def run(page: Page, address: str, process: int, tokens: int, repeat: int, view: str) -> tuple[list[Change], list[str]]:
    """All changes on one page, and what was counted on it."""
    meter = Meter(page, process)
    page.goto(f"{address}?text={quote(WORDS.split()[0])}&layer=3&view={view}")
    page.locator(".flow[data-shows]").wait_for(timeout=120_000)
    text = text_of(page, tokens)
    meter.settle()
    head, block, typed = (
        Change(what) for what in (f"another head, {tokens} tokens", f"another block, {tokens} tokens", "another text")
    )
    for i in range(repeat):
        meter.measure(head, lambda i=i: page.evaluate(CLICK, f"button.head[data-head='{1 + i % 2}']"))  # type: ignore[misc]
        meter.measure(
            block, lambda i=i: page.evaluate(CLICK, f".pager button:{'last' if i % 2 == 0 else 'first'}-of-type")
        )  # type: ignore[misc]
    for i in range(max(3, repeat // 3)):
        meter.measure(typed, lambda i=i: type_text(page, f"{text} {'abcdefghij'[i % 10]}"))  # type: ignore[misc]
    counted = [f"elements of the whole page with the view “{view}” open: {page.evaluate(COUNT):,}"]
    page.locator("button.all").click()
    page.wait_for_timeout(1500)
    meter.settle()
    counted.append(f"elements of the flow with all heads of all blocks shown: {page.evaluate(PART):,}")
    return [head, block, typed], counted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--view", default="attention", help="what is open below the flow; flow: nothing")
    parser.add_argument("--repeat", type=int, default=9)
    chosen = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    environment = {
        **os.environ,
        "TXPANEL_MODEL": chosen.model,
        "TXPANEL_PLUGINS": "none",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "panel", "serve", str(APP), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as server:
        try:
            address = _address(server)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=found, args=FLAGS.split())
                page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
                changes, counted = run(page, address, server.pid, chosen.tokens, chosen.repeat, chosen.view)
                browser.close()
        finally:
            server.terminate()
            server.communicate()
    print(f"{chosen.model}, {chosen.repeat} times, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| | ms to the frame, median | greatest | ms until quiet | CPU ms of the server | kB received | messages |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    print("\n".join(change.line() for change in changes))
    print("\n" + "\n".join(f"* {line}" for line in counted))


if __name__ == "__main__":
    main()
