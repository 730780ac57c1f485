"""How much memory there is, and how much of it is free: of the machine, or of the container or the user's slice that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Room", "now", "room", "total"]

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Room:
    """Memory in bytes.

    Attributes:
        total: that this process may use at most. free: that is left of it, what the system can give back at once included.
        contained: whether a limit on this process (a container's) is tighter than the machine.
    """

    total: int
    free: int
    contained: bool = False


def now() -> Room:
    """The memory of this process as it is now."""
    return room(PROC, CGROUPS)


def room(proc: Path, cgroups: Path) -> Room:
    """The memory of this process as it is now.

    Args:
        proc, cgroups: where Linux tells of processes and of their limits; other systems have no such folders.
    """
    import psutil  # late: only who asks needs it, and a page is painted before

    machine = psutil.virtual_memory()
    found = Room(int(machine.total), int(machine.available))
    for limit, used in _limits(proc, cgroups):
        free = max(0, limit - used)
        if limit < found.total or free < found.free:
            found = Room(min(limit, found.total), min(free, found.free), True)
    return found


@cache
def total() -> int:
    """Bytes that this process may use at most; asked once."""
    return room(PROC, CGROUPS).total


def _limits(proc: Path, cgroups: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each group of processes that this one is in, the inner one first. A limit of an outer group holds as well."""
    for place in _groups(proc, cgroups):
        for limit_file, used_file, cached in (
            ("memory.max", "memory.current", "inactive_file"),  # version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _number(place / limit_file), _number(place / used_file)
            if limit is not None and used is not None:
                yield limit, max(0, used - _cached(place / "memory.stat", cached))


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Folders of the groups, from this process's own outwards. Inside a container its own is often the root."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _id, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        root = cgroups / "memory" if controllers else cgroups
        own = root / path.strip("/")
        while own != root:
            yield own
            own = own.parent
        yield root


def _number(path: Path) -> int | None:
    """What a file says; None where there is none, or no limit."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _cached(path: Path, name: str) -> int:
    """Bytes of files that the system keeps and can give back at once: they count as used, and are free."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
