"""How often something may happen: for each address a bucket that fills at a steady rate, and from which each event takes one."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Bucket", "Buckets", "network"]

REMEMBERED = 10_000
"""Most addresses whose buckets are kept. The least recently used is dropped; its bucket counts as full."""


@dataclass(slots=True)
class Bucket:
    """How many events may happen at once now, and when that was computed (seconds)."""

    level: float
    then: float

    def fill(self, room: float, rate: float, now: float) -> None:
        """Brings it up to now.

        Args:
            room: what it holds at most. rate: what it gains a second.
        """
        self.level, self.then = min(room, self.level + (now - self.then) * rate), now


class Buckets:
    """A bucket for each name, such as an address.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def ask(self, name: str, room: float, rate: float) -> float:
        """Takes one event from a bucket if it holds one. Returns 0.0, or in how many seconds it will.

        Args:
            room: what may happen at once. rate: a second, in the long run.
        """
        bucket = self._filled(name, room, rate)
        if bucket.level < 1:
            return (1 - bucket.level) / rate
        bucket.level -= 1
        return 0.0

    def wait(self, name: str, room: float, rate: float) -> float:
        """As `ask`, but takes nothing."""
        return max(0.0, (1 - self._filled(name, room, rate).level) / rate)

    def owe(self, name: str, room: float, rate: float) -> float:
        """Takes one event even from an empty bucket. Returns how many seconds to wait before it may happen."""
        bucket = self._filled(name, room, rate)
        bucket.level -= 1
        return max(0.0, -bucket.level / rate)

    def forget(self, name: str) -> None:
        """Nothing will happen under this name any more."""
        self._buckets.pop(name, None)

    def _filled(self, name: str, room: float, rate: float) -> Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, Bucket(room, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.fill(room, rate, now)
        return bucket


def network(address: str) -> str:
    """Whom an address stands for: itself, or of IPv6 the /64 to which it belongs, since one household or school has all of that."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
