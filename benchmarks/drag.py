"""``python -m benchmarks.drag``: from a hand on a slider of the sampling view to the frame that shows it, in a real Chromium.

Writes table B-13b of results.json and docs/benchmarks.md (``--show``: only prints it). A mouse drags each slider in steps: once with a rest after
each, long enough for the server to confirm it, and once as fast as the browser takes them. Counted is from the time stamp of the mouse's move to the
frame with the new stages, probabilities and bar (its style, layout and paint done). The model must be in the cache. Run it on a quiet machine.
"""

from __future__ import annotations

from statistics import median
from urllib.parse import quote

from playwright.sync_api import Page

from benchmarks import report
from benchmarks.page import FIND
from benchmarks.start import around, options, page_of
from benchmarks.tables import Cell, Table
from txpanel.decoding.stages import SPECS

TEXT = "To be, or not to be, that is the question: whether to be, or not to"  # with runs that an n-gram could repeat
REST = 600
"""Milliseconds after which the server has answered and the flow has come to rest."""
LISTEN = f"""() => {{ {FIND}
  const seen = window.seen = [];
  let moved = 0;
  addEventListener('pointermove', (e) => moved = e.timeStamp, true);
  deep(document, (e) => e.matches('.bench')).addEventListener('input', () => {{ const from = moved; requestAnimationFrame(() => {{
    const painted = new MessageChannel();
    painted.port1.onmessage = () => seen.push(performance.now() - from);
    painted.port2.postMessage(0) }}) }}) }}"""


def drag(page: Page, key: str, steps: int, rest: int) -> list[float]:
    """Seconds to the frame, for each step that changed the setting."""
    slider = page.locator(f"#slider-{key}")
    slider.evaluate("node => node.scrollIntoView({block: 'center'})")  # not below the bar
    box = slider.bounding_box()
    assert box is not None
    page.wait_for_timeout(REST)
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(REST)
    page.evaluate("seen.length = 0")
    for i in range(steps):
        part = 0.1 + 0.8 * (1 - abs(1 - 2 * (i + 1) / steps))  # there and back
        page.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        if rest:
            page.wait_for_timeout(rest)
    page.wait_for_timeout(REST)
    page.mouse.up()
    return [float(milliseconds) / 1000 for milliseconds in page.evaluate("seen")]


def rows(page: Page, steps: int) -> list[list[Cell]]:
    """A row for each slider, and one for all of them."""
    found: list[list[Cell]] = []
    whole: tuple[list[float], list[float]] = ([], [])
    for key in (spec.key for spec in SPECS):
        times = drag(page, key, steps, REST), drag(page, key, 3 * steps, 0)
        page.get_by_role("button", name="Model's own").click()
        found.append(
            [key.replace("_", " "), *(cell for some in times for cell in (median(some), max(some), len(some)))]
        )
        for all_, some in zip(whole, times, strict=True):
            all_ += some
    found.append(["**all**", *(cell for some in whole for cell in (median(some), max(some), len(some)))])
    return found


def main() -> None:
    chosen = options("drag", __doc__, steps=(16, "of each drag with a rest; three times as many without"))
    with page_of(chosen.model) as (page, _server, address):
        page.goto(f"{address}?text={quote(TEXT)}&view=sampling")
        page.locator(".bench tr[data-id]").first.wait_for(timeout=120_000)
        page.wait_for_timeout(5 * REST)  # the last parts of the page
        page.evaluate(LISTEN)
        found = rows(page, chosen.steps)
    note = (
        f"{chosen.model}, “{TEXT}”, a window of 1440 × 900; Chromium and server on one machine, {around()}. Time on the wall from the mouse's move to "
        f"the frame that shows it: after a rest of {REST} ms, in which the server confirms the last step, and in a drag without rest, while it does."
    )
    columns = [
        ("slider", ""), ("after a rest", "ms"), ("greatest", "ms"), ("steps", "count"), ("without rest", "ms"), ("greatest of these", "ms"),
        ("steps without rest", "count"),
    ]  # fmt: skip
    report.keep(
        Table("B-13b", "From a hand on a slider to the frame that shows it", note, columns, found), show=chosen.show
    )


if __name__ == "__main__":
    main()
