"""Servers forked from one process that has all libraries loaded: start and first page cost 1.5 seconds of a core instead of 5.

Linux only; elsewhere, and for what has to be a process from its beginning, `subprocess` starts them (`start_command`).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

__all__ = ["CAN", "Forked"]

CAN = sys.platform == "linux"


class Forked:
    """``python -m MODULE ...`` in a process that is forked, with what we use of `subprocess.Popen`.

    Attributes:
        stdout: what it writes, errors as well.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.warm_imports"])
        said, out = context.Pipe(duplex=False)
        with said, out:
            self._process = context.Process(target=run, args=(list(words), dict(env), str(cwd), out))
            self._process.start()
            self.stdout: IO[str] = os.fdopen(os.dup(said.fileno()), encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired("a forked server", timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def run(words: list[str], env: dict[str, str], cwd: str, out: Connection) -> None:
    """In the new process: as if Python had been started like this."""
    with out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdout, sys.stderr = (open(fd, "w", 1, encoding="utf-8", closefd=False) for fd in (1, 2))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
