"""``python -m benchmarks.load``: a class at one server: 1, 10, 25, 50 visitors who act at human pace, and one real Chromium among them.

Writes table F-01 of results.json and docs/benchmarks.md (``--show``: only prints it). Visitors (`benchmarks.visitor`) enter one after another, then each acts
every ``--every`` seconds (drawn evenly between half and one and a half of it): 45 of 100 actions move a slider, 40 choose a head, 10 run another text, 5
generate five tokens. Waits are from sending to the message with the answer; of the server the CPU seconds and the resident memory of its process.
The visitors run in this process, on the same machine. The model must be in the cache. Run it on a quiet machine. Linux only (/proc).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.async_api import async_playwright

from benchmarks import report
from benchmarks.drawing import FLAGS
from benchmarks.page import FLOW
from benchmarks.start import _address, _cpu, around, chromium, options, served
from benchmarks.tables import Table
from benchmarks.timeline import memory
from benchmarks.visitor import Lost, Visitor

SHARES = {"slider": 45, "head": 40, "text": 10, "generate": 5}
"""Of 100 actions."""
SUBJECTS = ["cats", "rivers", "music", "bread", "winter", "chess", "trains", "stars", "paint", "gold", "tea", "kites"]
CHROMIUM = f"""async (n) => {{ {FLOW}
  const flow = find(document), was = flow.dataset.shows, start = performance.now()
  flow.querySelectorAll('[data-head]')[n]?.click()
  while (find(document).dataset.shows === was && performance.now() - start < 60000) await new Promise(requestAnimationFrame)
  return performance.now() - start }}"""


@dataclass
class Crowd:
    """What one number of visitors has shown."""

    visitors: list[Visitor]
    entering: float = 0.0
    cpu_entering: float = 0.0
    cpu_acting: float = 0.0
    bytes_entering: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    resident: float = 0.0
    newcomer: float = float("nan")
    chromium: list[float] = field(default_factory=list)

    def wait(self, what: str, share: float) -> float:
        """Seconds within which a share of the answers had come; NaN without any."""
        found = [seconds for visitor in self.visitors for seconds in visitor.timings.get(what, ())]
        return float(np.quantile(found, share)) if found else float("nan")

    @property
    def lost(self) -> int:
        """Actions without an answer."""
        return sum(len(visitor.lost) for visitor in self.visitors)

    @property
    def lost_what(self) -> Counter[str]:
        """Of those, how many of each kind."""
        return Counter(what for visitor in self.visitors for what in visitor.lost)

    @property
    def mixed(self) -> int:
        """Texts that were another visitor's."""
        return sum(visitor.wrong for visitor in self.visitors)


def text_of(n: int, dice: random.Random) -> str:
    """A text of about 12 tokens that nobody else writes."""
    return (
        f"Visitor {n} writes about {dice.choice(SUBJECTS)} and {dice.choice(SUBJECTS)} because {dice.choice(SUBJECTS)}"
    )


def other(now: Any, draw: Callable[[], Any]) -> Any:
    """Something else than there is: what is asked for as it is changes nothing, and the server has nothing to tell, which looked like a lost answer."""
    found = draw()
    while found == now:
        found = draw()
    return found


async def act(visitor: Visitor, n: int, until: float, every: float, crowd: Crowd) -> None:
    """Acts at human pace until a time."""
    dice = random.Random(n)
    await asyncio.sleep(dice.uniform(0, every))
    while time.monotonic() < until:
        what = dice.choices([*SHARES], [*SHARES.values()])[0]
        crowd.actions[what] += 1
        try:
            if what == "slider":
                await visitor.slider(other(visitor.temperature, lambda: round(dice.uniform(0.1, 1.9), 3)))
            elif what == "head":
                await visitor.head(other(visitor.shown, lambda: dice.randrange(9)))
            elif what == "text":
                await visitor.run(other(visitor.text, lambda: text_of(n, dice)))
            else:
                await visitor.generate(5)
        except Lost:
            pass  # the visitor has counted it
        await asyncio.sleep(dice.uniform(0.5, 1.5) * every)


async def crowd(address: str, server: int, count: int, chosen: Any) -> Crowd:
    """So many visitors, beside one Chromium: they enter, act, and leave."""
    found = Crowd([Visitor(address, text_of(n, random.Random(n)), chosen.patience) for n in range(count)])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        page = await browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        await page.goto(f"{address}?text=A+window+in+the+class")
        await page.wait_for_function(f"() => {{ {FLOW} return find(document)?.dataset.shows }}", timeout=120_000)
        await asyncio.sleep(3)
        cpu, start = _cpu(server), time.monotonic()
        for visitor in found.visitors:  # as people come through a door
            await _entered(visitor)
        await asyncio.sleep(3)  # what is built after the flow
        found.entering, found.cpu_entering = time.monotonic() - start, _cpu(server) - cpu
        found.bytes_entering = sum(visitor.received for visitor in found.visitors)
        cpu, until = _cpu(server), time.monotonic() + chosen.seconds
        tasks = [
            asyncio.create_task(act(visitor, n, until, chosen.every, found)) for n, visitor in enumerate(found.visitors)
        ]
        while time.monotonic() < until:
            await asyncio.sleep(chosen.every)
            head = len(found.chromium) % 2 + 1
            found.chromium.append(await page.evaluate(CHROMIUM, head) / 1000)
            if len(found.chromium) == 2:
                late = Visitor(address, "Somebody who comes late", chosen.patience)
                await _entered(late)
                found.newcomer = late.began
                await late.leave()
        await asyncio.gather(*tasks)
        found.cpu_acting = _cpu(server) - cpu
        found.resident = memory(server)
        await browser.close()
    for visitor in found.visitors:
        await visitor.leave()
    return found


async def _entered(visitor: Visitor) -> None:
    with suppress(Lost):  # the visitor has counted it
        await visitor.enter()


def measured(chosen: Any) -> Table:
    """A server for each number of visitors."""
    columns = [
        ("visitors", "count"),
        ("CPU to enter, each", "s"),
        ("sent until then, each", "bytes"),
        ("slider, p50", "ms"), ("slider, p95", "ms"),
        ("head, p50", "ms"), ("head, p95", "ms"),
        ("text, p50", "ms"), ("text, p95", "ms"),
        ("5 tokens, p95", "ms"),
        ("Chromium, a head, p95", "ms"),
        ("newcomer's flow", "s"),
        ("CPU per action", "ms"),
        ("memory", "MB"),
        ("lost", "count"), ("mixed", "count"),
    ]  # fmt: skip
    table = Table("F-01", "A class at one server", "", columns)
    for count in (int(each) for each in chosen.visitors.split(",")):
        with served(chosen.model, TXPANEL_PLUGINS="none") as server:
            found = asyncio.run(_one(_address(server), server.pid, count, chosen))
        waits = [found.wait(what, share) for what in ("slider", "head", "text") for share in (0.5, 0.95)]
        table.rows.append([
            count, found.cpu_entering / count, round(found.bytes_entering / count), *waits, found.wait("generate", 0.95),
            float(np.quantile(found.chromium, 0.95)), found.newcomer, found.cpu_acting / max(1, found.actions.total()),
            found.resident, found.lost, found.mixed,
        ])  # fmt: skip
        print(table.markdown().splitlines()[-1], dict(found.lost_what) or "", flush=True)
    table.note = (
        f"{chosen.model}; {chosen.seconds:.0f} s, each visitor one action in {chosen.every:g} s, and one Chromium beside them; visitors, Chromium and server "
        f"on one machine, {around()}."
    )
    return table


async def _one(address: str, server: int, count: int, chosen: Any) -> Crowd:
    first = Visitor(address, "The first one waits for the model", 120)
    await first.enter()
    await first.leave()
    await asyncio.sleep(2)
    return await crowd(address, server, count, chosen)


def main() -> None:
    chosen = options(
        "load",
        __doc__,
        visitors=("1,10,25,50", "how many, joined by commas"),
        seconds=(60.0, "of acting"),
        every=(10.0, "seconds between two actions of one visitor"),
        patience=(60.0, "seconds after which an answer counts as lost"),
    )
    report.keep(measured(chosen), show=chosen.show)


if __name__ == "__main__":
    main()
