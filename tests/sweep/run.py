"""The sweep: every family in a process of its own, forked from one that has torch and transformers loaded; a crash or a hang is a result.

``python -m tests.sweep.run [FAMILY ...]`` prints a line for each; without names it writes `RESULT`, from which `scripts/families.py` makes the page;
with ``--check`` it compares with that file instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

RESULT = Path(__file__).with_name("result.json")
LIMIT = 60
"""Seconds of processor time, and three times as many by the clock, after which a family counts as hanging."""


def sweep(families: Iterable[str], processes: int = 2) -> Iterator[dict[str, Any]]:
    """The result of each family, as they are ready."""
    _load()
    waiting, running = list(families), dict[int, tuple[str, int, float]]()  # by the reading end of a pipe
    while waiting or running:
        while waiting and len(running) < processes:
            family = waiting.pop(0)
            reader, pid = _fork(family)
            running[reader] = family, pid, time.monotonic()
        for reader in select.select(list(running), [], [], 1.0)[0]:
            family, pid, _begun = running.pop(reader)
            yield _read(reader, family, pid)
        for _family, pid, begun in running.values():
            if time.monotonic() - begun > 3 * LIMIT:
                os.kill(pid, signal.SIGKILL)


def _load() -> None:
    """What every family needs, so that the processes that are forked have it already."""
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    from tests.sweep.judge import judge

    for family in ("llama", "jamba"):
        judge(family)


def _fork(family: str) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return reader, pid
    os.close(reader)
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    with contextlib.suppress(BaseException):  # nothing may go on in this process
        from tests.sweep.judge import judge

        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            found = judge(family)
        found.seconds = round(time.process_time(), 1)
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            pipe.write(json.dumps(asdict(found)))
    os._exit(0)


def _read(reader: int, family: str, pid: int) -> dict[str, Any]:
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if text:
        return json.loads(text)
    died = f"ended by {signal.Signals(status & 127).name}" if status & 127 else "ended without a word"
    return {"family": family, "state": "crash", "reason": died}


def counts(found: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many families have which state."""
    return dict(Counter(one["state"] for one in found).most_common())


def kept() -> dict[str, Any]:
    """The result of the last sweep that was written."""
    found: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    return found


def differences(found: Iterable[dict[str, Any]]) -> list[str]:
    """Families of which something else opens than the file says."""
    before = {one["family"]: one for one in kept()["families"]}
    told = []
    for one in found:
        old = before.get(one["family"], {"state": "unknown"})
        for name in sorted((old.keys() | one.keys()) - {"seconds", "reason", "closed"}):
            if one.get(name) != old.get(name):
                told.append(
                    f"{one['family']}: {name} is {one.get(name)!r}, and the file says {old.get(name)!r} ({one['reason']})"
                )
                break
    return told


def main(arguments: list[str]) -> int:
    """Run it and print; with all families write the file, or compare with it. 1 if something is wrong or otherwise than the file says."""
    from tests.sweep.configs import ENCODERS, FAMILIES, PAIRS

    names = [name for name in arguments if name != "--check"]
    begun, found = time.monotonic(), []
    for one in sweep(names or [*FAMILIES, *ENCODERS, *PAIRS]):
        found.append(one)
        print(f"{one['state']:9} {one['family']:28} {one['reason'][:200]}", flush=True)
    found.sort(key=lambda one: one["family"])
    print(counts(found), f"in {time.monotonic() - begun:.0f} s")
    if "--check" in arguments:
        told = differences(found)
        print(*told, sep="\n")
        return int(bool(told))
    if not names:
        whole = {"transformers": transformers.__version__, "families": found}
        RESULT.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
