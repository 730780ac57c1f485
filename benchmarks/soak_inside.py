"""What runs inside the server of ``benchmarks.soak``: every two seconds a line of JSON about what it holds."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

EVERY = 2.0
MALLINFO = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


def watch(path: str, types: str = "") -> None:
    """Begins to write to a file.

    Args:
        path: of the lines. types: of another file, for counts of all objects by type (it stops the server for a second); empty: none.
    """
    threading.Thread(target=_write, args=(Path(path), types), name="soak", daemon=True).start()


def _write(path: Path, types: str) -> None:
    begin, counted = time.monotonic(), 0.0
    with path.open("w", encoding="utf-8") as file:
        while True:
            time.sleep(EVERY)
            line = {"t": time.monotonic() - begin, **_now()}
            if types and line["t"] > counted + 30:
                counted = line["t"]
                with Path(types).open("a", encoding="utf-8") as more:
                    print(json.dumps({"t": line["t"], "types": _types()}), file=more, flush=True)
                sys._debugmallocstats()
            print(json.dumps(line), file=file, flush=True)


def _now() -> dict[str, Any]:
    memory, shared, pages = (
        sys.modules.get(f"txpanel.{name}") for name in ("models.memory", "session.shared", "server.upkeep")
    )
    return {
        "held": memory.held() if memory is not None else {},
        "weights": shared.models.nbytes if shared is not None else 0,
        "sessions": pages.open_sessions() if hasattr(pages, "open_sessions") else 0,
        "cap": memory.cap() if memory is not None else 0,
        "heap": _heap(),
    }


def _heap() -> dict[str, int]:
    """What the GNU C library says: bytes in use and free in its heaps, and mapped by themselves."""

    class Info(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in MALLINFO]

    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return {}
    ask.restype = Info
    found = ask()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    anonymous = int(status.split("RssAnon:")[1].split()[0]) * 1024
    return {"anonymous": anonymous, "used": found.uordblks, "free": found.fordblks, "mapped": found.hblkhd}


def _types() -> dict[str, int]:
    counts = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return dict(counts.most_common(400))
