"""Limits the rate at which frames of a websocket are read, of any kind.

Messages are counted where they are handled. But pings, pongs and empty pieces of a message without end never get there, and Tornado reads
them as fast as they come (6.5 without letting anybody in between): a stranger who sends 20,000 pings a second has most of the server's thread.

Versions: Tornado 6.5 to 6.6.
Reason: safety; one connection keeps the server from everybody else with frames that nobody counts.
Upstream: tornadoweb/tornado, tornado/websocket.py, `WebSocketProtocol13._receive_frame_loop`.
Test: tests/compat/test_frame_rate.py::test_tornado_still_reads_as_fast_as_it_can
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

__all__ = ["MOST", "STEP", "bound"]

MOST = 2000
"""Frames of one connection in a second; a slider makes 240."""
STEP = 50
"""Frames that are read before the rate is checked."""


def bound(protocol: Any) -> None:
    """Has a connection's frames read at that rate, at most.

    Args:
        protocol: Tornado's `WebSocketProtocol13`, before it reads.
    """
    own = getattr(protocol, "_receive_frame", None)
    if own is None:  # it is not what it was: Tornado reads as it will
        return
    read, begin = 0, time.monotonic()

    async def receive() -> None:
        nonlocal read, begin
        read += 1
        if read >= STEP:
            wait = STEP / MOST - (time.monotonic() - begin)
            if wait > 0:
                await asyncio.sleep(wait)
            read, begin = 0, time.monotonic()
        await own()

    protocol._receive_frame = receive
