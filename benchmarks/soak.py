"""``python -m benchmarks.soak``: a class that comes and goes for half an hour; does the server stay as large as it was?

So many visitors at a time (without a browser: Bokeh's protocol over real websockets), each with texts of its own, heads, blocks, views, settings and
generated tokens; after some texts a visitor leaves and another one comes. Every two seconds: what the system says that the server holds, and what
its own count (`txpanel.models.memory`) says. Writes table M-01 of results.json and docs/benchmarks.md (``--show``: only prints it): growth over the
loaded model, the slope after warm-up (the second half), what is counted, and what is left a minute after the last one has gone. The slope is that of
the least of each tenth of that half (90 s of 30 minutes): what a pass takes, and what is free and not yet given back, comes and goes by 100 MB within
seconds, and where such peaks happen to lie makes some MB a minute up or down; what is never freed stands under all of them. Exits with 1 where the
growth exceeds the cap by more than a quarter, or the slope 1 MB a minute.
The model must be in the cache and have room for 100 tokens. Linux only (/proc).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from math import inf, sqrt
from pathlib import Path
from statistics import fmean, linear_regression

from benchmarks import report
from benchmarks.start import _address, _cpu, around, options, served
from benchmarks.tables import Cell, Table
from benchmarks.timeline import memory
from benchmarks.visitor import Lost, Visitor

VIEWS = ("attention", "mlp", "residual", "softmax", "sampling", "embedding", "kv-cache")
SENTENCE = (
    "a class of thirty opens the same page and every one of them types another sentence so that the server has to run the model "
    "again and again while it still keeps what the others are looking at in their own windows until they go home"
)
WORDS = SENTENCE.split(" ")
GONE = 50.0
"""Seconds after which the server has noticed that a visitor has gone, and has cleared up."""
PARTS = 10
"""Of the second half, of each of which the least counts for the slope."""
LEFT = 60.0
"""Seconds after the last visitor at which is looked once more."""


@dataclass
class Course:
    """What was seen over time: seconds, resident bytes, bytes counted by store, sessions that the server has."""

    process: int
    log: Path
    begin: float = field(default_factory=time.monotonic)
    rows: list[tuple[float, int, dict[str, int], int]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """One more row."""
        inside = self.inside()
        row = (time.monotonic() - self.begin, memory(self.process), inside.get("held", {}), inside.get("sessions", 0))
        self.rows.append(row)
        if len(self.rows) % 5 == 1:
            held = " ".join(f"{name} {count / 1e6:.0f}" for name, count in row[2].items() if count > 1e5)
            heap = " ".join(f"{name} {count / 1e6:.0f}" for name, count in inside.get("heap", {}).items())
            line = f"{row[0]:6.0f} s  {row[1] / 1e6:7.1f} MB  {row[3]} sessions  {held}  ({heap})  {self.done}"
            print(line, file=sys.stderr, flush=True)

    def inside(self) -> dict:  # type: ignore[type-arg]
        """The last line that the server wrote about itself."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        try:
            return dict(json.loads(lines[-1])) if lines else {}
        except ValueError:  # half a line
            return dict(json.loads(lines[-2])) if len(lines) > 1 else {}

    def count(self, what: str) -> None:
        """Something has been done once more."""
        self.done[what] = self.done.get(what, 0) + 1

    def least(self) -> tuple[list[float], list[int]]:
        """Minutes and bytes of the least of each tenth of the second half of the rows."""
        late = self.rows[len(self.rows) // 2 : -1]
        begin, long = late[0][0], (late[-1][0] - late[0][0]) / PARTS
        least: dict[int, tuple[float, int]] = {}
        for seconds, resident, *_more in late:
            part = min(PARTS - 1, int((seconds - begin) / long))
            least[part] = min(least.get(part, (seconds, resident)), (seconds, resident), key=lambda one: one[1])
        return [one[0] / 60 for one in least.values()], [one[1] for one in least.values()]

    def slope(self) -> float:
        """Bytes a minute in the second half of the rows, by the least of each tenth of it."""
        return linear_regression(*self.least()).slope

    def slope_error(self) -> float:
        """Its standard error, as of any line through points that scatter: below twice as much, a slope cannot be told from none. Infinite by two points."""
        minutes, found = self.least()
        if len(minutes) < 3:
            return inf
        line = linear_regression(minutes, found)
        off = sum((y - line.slope * x - line.intercept) ** 2 for x, y in zip(minutes, found, strict=True))
        middle = fmean(minutes)
        return sqrt(off / (len(minutes) - 2) / sum((x - middle) ** 2 for x in minutes))


def text_of(visitor: int, n: int) -> str:
    """One of a visitor's texts: always the same, and nobody else's."""
    dice = random.Random(1000 * visitor + n)
    return " ".join([f"{visitor}, {n}:", *dice.choices(WORDS, k=dice.randint(6, 60))])


async def visit(address: str, course: Course, number: int, texts: range, pause: float, end: float) -> None:
    """One visitor from coming to going."""
    visitor = Visitor(address, text_of(number, texts[0]))
    try:
        await visitor.enter()
        course.count("arrived")
        for n in texts[1:]:
            if time.monotonic() > end:
                return
            await visitor.run(text_of(number, n))
            course.count("texts")
            await look_around(visitor, n, pause, end)
    finally:
        await visitor.leave()
        course.count("left")
        course.done["mixed"] = course.done.get("mixed", 0) + visitor.wrong


async def look_around(visitor: Visitor, n: int, pause: float, end: float) -> None:
    """What somebody does with a text: two heads, a view, a setting, now and then some tokens."""
    acts = [
        lambda: visitor.head(1),
        lambda: visitor.open(VIEWS[n % len(VIEWS)]),
        lambda: visitor.slider(round(0.55 + n % 10 / 10, 2)),
        lambda: visitor.head(2),
        *([lambda: visitor.generate(5)] if n % 3 == 0 else []),
    ]
    for act in acts:
        if time.monotonic() > end:
            return
        await asyncio.sleep(random.uniform(0.5, 1.5) * pause)
        await act()


async def seat(address: str, course: Course, place: int, texts: int, stay: int, pause: float, end: float) -> None:
    """One place in the class, taken by one visitor after the other; texts come round again."""
    done = 0
    while time.monotonic() < end:
        first = done % texts
        try:
            await visit(address, course, place, range(first, first + stay), pause, end)
        except (OSError, Lost) as error:
            course.count(f"lost ({error or type(error).__name__})")
            await asyncio.sleep(1)
        done += stay


async def look(course: Course, until: float) -> None:
    """A row every two seconds."""
    while time.monotonic() < until:
        course.look()
        await asyncio.sleep(2)


async def soak(address: str, course: Course, people: int, texts: int, stay: int, pause: float, minutes: float) -> None:
    """All of it, until everybody has gone."""
    end = time.monotonic() + 60 * minutes
    seats = [seat(address, course, place, texts, stay, pause, end) for place in range(people)]
    await asyncio.gather(look(course, end), *seats)


def main() -> None:
    chosen = options(
        "soak",
        __doc__,
        people=(10, "visitors at a time"),
        texts=(25, "texts of each place, which come round again"),
        stay=(10, "texts after which a visitor leaves and another one comes"),
        pause=(2.0, "seconds between two acts of a visitor, half as much or half as much again"),
        minutes=(30.0, "how long"),
        cap=(0, "TXPANEL_MEMORY_MB of the server; 0: what is usual"),
        types=("", "a file for counts of all objects by type, to find what is not freed"),
    )
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "inside.jsonl"
        first = f"import benchmarks.soak_inside as inside; inside.watch({str(log)!r}, {chosen.types!r})"
        environment = {"TXPANEL_MEMORY_MB": str(chosen.cap)} if chosen.cap else {}
        with served(chosen.model, first, TXPANEL_PLUGINS="none", **environment) as server:
            address = _address(server)
            threading.Thread(target=drain, args=(server,), daemon=True).start()
            course = Course(server.pid, log)
            loaded = loaded_and_run(address, course)
            asyncio.run(soak(address, course, chosen.people, chosen.texts, chosen.stay, chosen.pause, chosen.minutes))
            time.sleep(LEFT)
            course.look()
            if chosen.types:
                print(
                    Path(f"/proc/{server.pid}/smaps_rollup").read_text(encoding="utf-8"),
                    course.inside().get("heap"),
                    file=sys.stderr,
                )
            table, good = result(course, loaded, chosen, _cpu(server.pid))
    report.keep(table, show=chosen.show)
    sys.exit(0 if good else 1)


def drain(server: subprocess.Popen[str]) -> None:
    """Reads what the server says, which would stand still once the pipe is full; what is worth reading goes to our own standard error."""
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", file=sys.stderr, flush=True)


def loaded_and_run(address: str, course: Course) -> int:
    """Resident bytes once the model is loaded and has run: its file is mapped, and read only when it first runs. One visitor has come and gone."""
    for _try in range(300):
        if course.inside().get("weights", 0) > 0:
            break
        time.sleep(1)

    async def first() -> None:
        visitor = Visitor(address, "so it begins")
        await visitor.enter()
        for view in VIEWS:
            await visitor.open(view)
            await asyncio.sleep(2)
        await visitor.leave()

    asyncio.run(first())
    time.sleep(GONE)
    course.begin = time.monotonic()
    return memory(course.process)


def result(course: Course, loaded: int, chosen: object, cpu: float) -> tuple[Table, bool]:
    """The table, and whether the aims are met."""
    cap = course.inside().get("cap", 0)
    *during, after = course.rows
    most = max(row[1] for row in during) - loaded
    counted = max(sum(row[2].values()) for row in during)
    slope = course.slope()
    c = vars(chosen)
    note = (
        f"{c['model']}, {c['people']} visitors at a time, {c['texts']} texts of each place, {c['minutes']:g} minutes, "
        f"{course.done.get('arrived', 0)} sessions opened, {course.done.get('texts', 0)} texts run, {cpu:,.0f} CPU seconds of the server; "
        f"{around()}. The cap (`TXPANEL_MEMORY_MB`) is {cap / 1e6:,.0f} MB. Resident memory as the system counts it. What was done: {course.done}."
    )
    rows: list[list[Cell]] = [
        ["with the model loaded and run once, nobody there", loaded],
        ["growth over that, greatest", most],
        ["slope of the least in the second half, a minute", round(slope)],
        ["standard error of that slope", course.slope_error()],
        ["counted by the server itself, greatest", counted],
        [f"over the loaded model, {LEFT:.0f} s after the last visitor", after[1] - loaded],
        ["counted then", sum(after[2].values())],
    ]
    table = Table("M-01", "A server that stands open", note, [("what", ""), ("bytes", "MB")], rows)
    lost = any(what.startswith("lost") for what in course.done) or course.done.get("mixed", 0)
    return table, (not cap or most <= 1.25 * cap) and slope < 1e6 and not lost


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
