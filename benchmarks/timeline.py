"""``python -m benchmarks.timeline``: hundreds of tokens generated on the page, in a real Chromium: does it stay as quick as it was?

Writes table B-07b of results.json and docs/benchmarks.md (``--show``: only prints it). One run "until the end", greedy, stopped by the Stop
button; every hundred tokens: how fast they came, how many complete pictures were shown among them, the longest time in which no frame came,
elements and JavaScript heap of the page, memory of the server. Then how long Stop took, and going to the hundredth token. The model must be
in the cache. Run it on a quiet machine. Linux only (/proc).
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page

from benchmarks import report
from benchmarks.page import COUNT, FLOW
from benchmarks.start import around, options, page_of
from benchmarks.tables import Cell, Table

TEXT = "Once upon a time"  # greedy, SmolLM2 goes on from here without an end

WATCH = f"""() => {{ {FLOW}
  window.gap = 0; window.shown = 0
  let last = performance.now(), was = find(document).dataset.shows
  const look = () => {{
    const now = performance.now(), shows = find(document)?.dataset.shows
    window.gap = Math.max(window.gap, now - last)
    if (shows !== was) window.shown += 1
    ;[last, was] = [now, shows]
    requestAnimationFrame(look)
  }}
  requestAnimationFrame(look) }}"""
SINCE = "() => { const found = [window.gap, window.shown]; window.gap = window.shown = 0; return found }"
STOP = """async (button) => { const start = performance.now()
  button.click()
  const said = button.textContent !== 'Stop'
  const busy = root => [...root.querySelectorAll('*')].some(e => e.dataset?.busy === 'true' || (e.shadowRoot && busy(e.shadowRoot)))
  while (busy(document)) await new Promise(requestAnimationFrame)
  return [said, performance.now() - start] }"""


def memory(process: int) -> int:
    """Resident bytes of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


def heap(session: CDPSession) -> float:
    """JavaScript bytes of a page, after its rubbish is collected."""
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used


def so_far(page: Page) -> int:
    """How many tokens there are."""
    return int(page.locator(".timeline canvas").get_attribute("aria-valuenow", timeout=120_000) or 0)


def run(page: Page, process: int, address: str, tokens: int, every: int) -> tuple[list[list[Cell]], str]:
    """The rows of the table, and what was seen at the end."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    page.goto(f"{address}?v=2&text={TEXT}&temperature=0&top_p=1&view=attention")
    page.locator(".tx-unfolded canvas").filter(visible=True).first.wait_for(timeout=120_000)
    page.wait_for_timeout(5000)
    rows: list[list[Cell]] = []
    first = (
        f"Before: {page.evaluate(COUNT):,} elements, {heap(session) / 1e6:.1f} MB, {memory(process) / 1e6:,.0f} MB. "
    )
    page.evaluate(WATCH)
    page.get_by_role("combobox", name="How many tokens to generate").select_option("until the end")
    page.get_by_role("button", name="Generate", exact=True).click()
    began, before = time.monotonic(), 0
    while before < tokens:
        while (n := so_far(page)) < min(before + every, tokens):
            if ended := page.locator(".timeline .ended").text_content():
                raise RuntimeError(f"{n} tokens: {ended}")
            page.wait_for_timeout(100)
        now, (gap, shown) = time.monotonic(), page.evaluate(SINCE)
        rows.append(
            [n, (n - before) / (now - began), shown, gap / 1000, page.evaluate(COUNT), heap(session), memory(process)]
        )
        page.evaluate(SINCE)  # counting has taken a while itself
        began, before = time.monotonic(), n
    said, stopped = page.get_by_role("button", name="Stop").evaluate(STOP)
    page.get_by_text("You stopped it.").wait_for()
    end = so_far(page)
    return rows, first + (
        f"Stop answered {'in the frame of the click' if said else 'later'}, and nothing ran any more after {stopped:.0f} ms, at {end} tokens"
        f"; going to token {tokens // 5} then showed in the flow after {_go(page, tokens // 5):.0f} ms"
    )


def _go(page: Page, step: int) -> float:
    """Milliseconds from a click on the timeline to the flow that shows that step."""
    track = page.get_by_role("slider", name="Step of the generation")
    track.scroll_into_view_if_needed()
    box, last = track.bounding_box(), int(track.get_attribute("aria-valuemax") or 1)
    assert box is not None
    page.evaluate(f"() => {{ {FLOW} window.before = find(document).dataset.shows; window.begun = 0 }}")
    page.evaluate(
        "() => addEventListener('pointerdown', () => { window.begun = performance.now() }, {capture: true, once: true})"
    )
    page.mouse.click(box["x"] + 14 + (box["width"] - 16) * (step + 0.5) / last, box["y"] + 20)
    script = (
        "async () => {"
        + FLOW
        + "while (find(document).dataset.shows === window.before) await new Promise(requestAnimationFrame); return performance.now() - window.begun }"
    )
    found: Any = page.evaluate(script)
    return float(found)


def main() -> None:
    chosen = options("film", __doc__, tokens=(500, "to generate"), every=(100, "tokens in a row of the table"))
    with page_of(chosen.model) as (page, server, address):
        rows, seen = run(page, server.pid, address, chosen.tokens, chosen.every)
    note = f"{chosen.model}, “{TEXT}”, greedy, the attention view open, a window of 1440 × 900; Chromium and server on one machine, {around()}. {seen}."
    columns = [
        ("tokens", "count"), ("came at", "per s"), ("complete pictures", "count"), ("longest time without a frame", "ms"),
        ("elements of the page", "count"), ("JavaScript heap", "MB"), ("memory of the server", "MB"),
    ]  # fmt: skip
    report.keep(Table("B-07b", "500 tokens generated on the page", note, columns, rows), show=chosen.show)


if __name__ == "__main__":
    main()
