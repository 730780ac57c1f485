"""One visit of the page by a real Chromium: when what is on screen, how much came for it, and how long each tab takes to open.

Times are the browser's own, from the moment at which the address was asked for. Used by `benchmarks.start`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

QUIET = 1.2
"""Seconds without a message after which a page has done all it does by itself."""
FIND = """const find = (root, test) => { for (const e of root.querySelectorAll('*')) { if (test(e)) return e;
  const found = e.shadowRoot && find(e.shadowRoot, test); if (found) return found } };
const early = (e) => { for (let n = e; n; n = n.parentNode ?? n.host) if (n.id === 'tx-first') return true; return false };
"""
WATCH = f"""(() => {{ {FIND}
  const seen = window.txSeen = {{}};
  const drawn = () => find(document, (e) => e.matches('.flow[data-shows]'));
  const tests = {{
    bar: () => {{ const bar = find(document, (e) => e.matches('header.bar')); return bar && /block|ブロック/.test(bar.textContent) }},
    flow: () => drawn(),
    live: () => {{ const flow = drawn(); return flow && !early(flow) }},
    view: () => {{ const below = find(document, (e) => e.classList.contains('tx-unfolded'));
      return below?.shadowRoot && find(below.shadowRoot, (e) => e.localName === 'canvas' && e.offsetHeight > 0) }},
  }};
  const look = () => {{
    if (document.body) for (const [name, test] of Object.entries(tests)) if (!(name in seen) && test()) seen[name] = performance.now() / 1000;
    if (!('view' in seen)) requestAnimationFrame(look) }};
  look() }})()"""
TABS = f"""() => {{ {FIND} const all = (root, into = []) => {{ for (const e of root.querySelectorAll('*')) {{
  if (e.matches('[role=tab]')) into.push(e.dataset.id); if (e.shadowRoot) all(e.shadowRoot, into) }} return into }}; return all(document) }}"""
STILL = 1500
"""Milliseconds without a change in the window after which a tab is open."""
OPEN = f"""async (id) => {{ {FIND}
  const all = (root, test, into = []) => {{ for (const e of root.querySelectorAll('*')) {{
    if (test(e)) into.push(e); if (e.shadowRoot) all(e.shadowRoot, test, into) }} return into }};
  const inside = (e) => {{ const {{top, bottom, height}} = e.getBoundingClientRect(); return height > 5 && bottom > 0 && top < innerHeight }};
  const tab = find(document, (e) => e.matches('[role=tab]') && e.dataset.id === id), start = performance.now();
  const below = find(document, (e) => e.classList.contains('tx-unfolded')).shadowRoot;
  const drawn = (e) => /^(canvas|svg|table|input)$/.test(e.localName) && inside(e);
  tab.click();
  for (let first = 0, last = 0, was = '', now = 0; now < 60000;) {{
    await new Promise(requestAnimationFrame);
    now = performance.now() - start;
    const leaf = below.querySelector(`.leaf:not(.folded).view-${{id}}`);
    const waits = [...below.children].some((e) => !e.matches('.leaf') && e.shadowRoot?.querySelector('p[role=status]:not([hidden])'));
    if (!leaf?.shadowRoot || waits || tab.getAttribute('aria-selected') !== 'true') continue;
    const shown = all(leaf.shadowRoot, drawn);
    if (shown.length && !first) first = now;
    const is = `${{shown.length}} ${{all(leaf.shadowRoot, inside).length}}`;
    if (is !== was) [was, last] = [is, now];
    if (first && now - last > {STILL}) return [first / 1000, last / 1000];
  }}
  throw new Error(`${{id}} does not open`) }}"""
"""Opens a tab; seconds from the click to its first picture in the window, and to the last change of what is in the window."""
BEAT = 400
"""Bytes of what a connection says once a second although nothing happens, at most."""


@dataclass
class Opened:
    """The first opening of a tab: seconds until its first picture, and until all is there that is in the window; CPU seconds, bytes and messages."""

    first: float
    all: float
    cpu: float
    received: int
    messages: int


@dataclass
class Visit:
    """What one visit saw.

    Attributes:
        seen: seconds until the bar with the model's name, the flow with its numbers, both of the live page, the first view below.
        cpu: seconds of the server. received, messages: of the websocket. document: bytes of the HTML. requests, blobs: how many.
        tabs: what the first opening of each took. origin: the time at which the address was asked for.
    """

    page: Page
    seen: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    received: int = 0
    messages: int = 0
    document: int = 0
    requests: int = 0
    blobs: int = 0
    tabs: dict[str, Opened] = field(default_factory=dict)
    origin: float = 0.0
    last: list[float] = field(default_factory=list)


def visit(context: BrowserContext, address: str, cpu: Callable[[], float]) -> Visit:
    """Opens the page and stays until nothing comes any more."""
    page = context.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.add_init_script(WATCH)
    found, begun = Visit(page, last=[time.monotonic()]), cpu()

    def frame(data: Any) -> None:
        found.received += len(data)
        found.messages += 1
        if len(data) > BEAT:
            found.last[0] = time.monotonic()

    def asked(request: Any) -> None:
        found.requests += not request.url.startswith(("blob:", "data:"))
        found.blobs += request.url.startswith("blob:")

    page.on("websocket", lambda socket: socket.on("framereceived", frame))
    page.on("request", asked)
    answer = page.goto(address, wait_until="commit", timeout=120_000)
    found.document = len(answer.body()) if answer else 0
    page.wait_for_function("() => 'view' in (window.txSeen ?? {})", timeout=120_000)
    settle(page, found.last)
    found.seen, found.cpu = page.evaluate("window.txSeen"), cpu() - begun
    found.origin = page.evaluate("performance.timeOrigin / 1000")
    return found


def settle(page: Page, last: list[float]) -> None:
    """Waits until nothing has arrived for a while."""
    while time.monotonic() - last[0] < QUIET:
        page.wait_for_timeout(50)


def open_tabs(found: Visit, cpu: Callable[[], float]) -> None:
    """Opens each tab that is not open yet, once."""
    page = found.page
    there = page.locator("[role=tab][aria-selected=true]").get_attribute("data-id")
    for name in (one for one in page.evaluate(TABS) if one != there):
        begun, received, messages = cpu(), found.received, found.messages
        first, whole = page.evaluate(OPEN, name)
        settle(page, found.last)
        found.tabs[name] = Opened(first, whole, cpu() - begun, found.received - received, found.messages - messages)
