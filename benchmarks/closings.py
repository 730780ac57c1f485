"""How long nobody is answered when pages close: table R-05 of `benchmarks.replacements`."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from tornado.httpclient import AsyncHTTPClient

from benchmarks.visitor import Visitor

__all__ = ["stands_still"]

VIEWS = ("attention", "residual", "softmax", "mlp")
WATCHED = 14.0
"""Seconds after the last page has closed: Panel looks 5 s later, ours 10 s at most."""


def stands_still(address: str, visitors: int) -> tuple[float, float]:
    """The longest time and the sum of all times over 50 ms, in seconds, in which a server answers nobody while pages close one after the other.

    Args:
        address: of the page. visitors: how many; each has looked at several views, and half of them leave.
    """
    return asyncio.run(_stands_still(address, visitors))


async def _stands_still(address: str, visitors: int) -> tuple[float, float]:
    crowd = [Visitor(address, f"Visitor {n} looks around") for n in range(visitors)]
    for visitor in crowd:
        await visitor.enter()
        for view in VIEWS:
            await visitor.open(view)
            await asyncio.sleep(1)
    await asyncio.sleep(5)
    waits: list[float] = []
    watch = asyncio.create_task(_ask(address.rsplit("/", 1)[0] + "/health", waits))
    for visitor in crowd[::2]:
        await visitor.leave()
        await asyncio.sleep(2)
    await asyncio.sleep(WATCHED)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    for visitor in crowd[1::2]:
        await visitor.leave()
    return max(waits), sum(wait for wait in waits if wait > 0.05)


async def _ask(address: str, waits: list[float]) -> None:
    client = AsyncHTTPClient(force_instance=True)
    while True:
        begin = time.monotonic()
        await client.fetch(address, request_timeout=60, raise_error=False)
        waits.append(time.monotonic() - begin)
        await asyncio.sleep(0.02)
