"""``txpanel serve --supervise``: a second process that starts the server anew when it has died or does not answer.

It asks for ``/health`` over HTTP, as anybody could. A server that is frozen, or says that it has failed, for more than `PATIENCE` seconds is
ended and started anew on the same port; the pages come back by themselves. The server watches its supervisor as well: where that is
gone, however it ended, the server ends too, so that no process is left behind.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from txpanel.messages import _
from txpanel.models.sources.process import end_with_parent

__all__ = ["PATIENCE", "Supervisor", "end_with_supervisor", "probe", "supervise"]

PATIENCE = 10.0
"""Seconds for which a server may be frozen or failed."""
STARTING = 180.0
"""Seconds that a server may take until it answers for the first time: PyTorch is imported meanwhile."""
EVERY = 1.0
ANSWER = 5.0
"""Seconds that one answer may take."""
GRACE = 5.0
"""Seconds between asking a process to end and ending it."""
LONGEST_PAUSE = 30.0
LONGEST_PATIENCE = 600.0
"""A server that reports a failed model again after a restart is restarted more and more seldom, up to this: visitors may choose another model."""
STEADY = 60.0
"""Seconds: a server that has run for longer before it ended is restarted without a pause."""

Answer = Literal["well", "failed", "silent"]
WRONG_COMMAND, WILLING = 2, (0, 130)  # a server that was stopped, or has had a Ctrl-C, is not started anew
NOTES = "_TXPANEL_SWITCHED_OFF"
"""Internal environment variable: path of the supervisor's file of views that are switched off. Not a setting."""
SERVER = "from txpanel.server import cli, supervise; supervise.end_with_supervisor(); raise SystemExit(cli.main())"
"""What the server's process runs: the command line, which also watches its supervisor."""


def probe(host: str, port: int, path: str, *, tls: bool = False, timeout: float = ANSWER) -> Answer:
    """What ``/health`` says. A server that has no such page, or wants a login first, is well: it answers."""
    if tls:
        import ssl  # late: without TLS it is not needed

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # this machine's own, whatever name it shows
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return _said(reply.status, reply.read(10_000))
    except (OSError, http.client.HTTPException):
        return "silent"
    finally:
        connection.close()


def _said(status: int, body: bytes) -> Answer:
    """A server that loads its model says 503 as one that has failed does; the words tell them apart."""
    try:
        found = json.loads(body)
        word = found.get("status") if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        word = None
    if word in ("ready", "loading"):
        return "well"
    return "failed" if word == "failed" or status >= 500 else "well"


class Supervisor:
    """Keeps one server running.

    Args:
        command: starts the server; it must end when its standard input does (`end_with_supervisor`).
        ask: says how the server is; called once a second.
        say: gets each sentence.
        patience: seconds for which it may be silent or failed. starting: the same, until it has answered once.
        environment: more variables for the server.
    """

    def __init__(
        self,
        command: Sequence[str],
        ask: Callable[[], Answer],
        *,
        say: Callable[[str], None] = lambda text: print(f"txpanel: {text}", file=sys.stderr, flush=True),
        patience: float = PATIENCE,
        starting: float = STARTING,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command, self._ask, self._say = list(command), ask, say
        self._environment = {**os.environ, **(environment or {})}
        self._patience, self._starting = patience, starting
        self._stopped = self.interrupted = False
        # not an event: a signal that comes while that is waited for would never return
        self._bell = queue.SimpleQueue[None]()
        with suppress(queue.Empty):
            # CPython's first wait never ends if its time is over before it begins (a busy or sleeping machine)
            self._bell.get_nowait()
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def stop(self, *_signal: Any) -> None:
        """Ends the server and `run`; may be called from a signal handler."""
        self.interrupted = self.interrupted or _signal[:1] == (signal.SIGINT,)
        self._stopped = True
        self._bell.put(None)

    def _wait(self, seconds: float) -> bool:
        """Returns whether it is to stop."""
        if not self._stopped:
            with suppress(queue.Empty):
                self._bell.get(timeout=seconds)
        return self._stopped

    def run(self) -> int:
        """Runs servers, one after the other, until `stop`. Returns the exit code."""
        pause, patience = 0.5, self._patience
        try:
            while not self._stopped:
                begin = time.monotonic()
                self._start()
                why, failed = self._watch(patience)
                patience = min(2 * patience, LONGEST_PATIENCE) if failed else self._patience
                code = self._end()
                if self._stopped:
                    break
                if code == WRONG_COMMAND or (code in WILLING and not why):
                    return code
                pause = 0.5 if time.monotonic() - begin > STEADY else min(2 * pause, LONGEST_PAUSE)
                said = why or _("The server has ended (exit code {code}).").format(code=code)
                self._say(said + " " + _("It is restarted in {n} s.").format(n=round(pause)))
                self._wait(pause)
            return 0
        finally:
            self._end()

    def _start(self) -> None:
        self.starts += 1
        command = [word for word in self._command if word != "--open" or self.starts == 1]  # the page is open already
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment)

    def _watch(self, patience: float) -> tuple[str, bool]:
        """Until the server has ended, or must be.

        Args:
            patience: seconds for which it may say that it has failed.

        Returns:
            Why it must end (empty: it has ended by itself, or `stop` was called), and whether it says that it has failed.
        """
        assert self.process is not None
        well, answered = time.monotonic(), False
        while not self._wait(EVERY):
            if self.process.poll() is not None:
                return "", False
            answer, now = self._ask(), time.monotonic()
            if answer == "well":
                well, answered = now, True
            elif answer == "failed" and now - well > patience:
                return _("The server has said for {n} s that it has failed.").format(n=round(now - well)), True
            elif answer == "silent" and now - well > (self._patience if answered else self._starting):
                return _("The server has not answered for {n} s.").format(n=round(now - well)), False
        return "", False

    def _end(self) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:  # a frozen process handles no signal
                process.kill()
        code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code


def supervise(arguments: Sequence[str], host: str, port: int, *, prefix: str = "", tls: bool = False) -> int:
    """Runs ``txpanel serve`` with these arguments again and again until SIGTERM, which is no failure, or Ctrl-C. Returns the exit code.

    Args:
        arguments: of the command, without the program's name.
        host: to ask. port: on which every server listens, the next one too. prefix: of the addresses. tls: whether it speaks HTTPS.

    Raises:
        KeyboardInterrupt: Ctrl-C has ended it.
    """
    words = [word for word in arguments if not _is_ours(word)]
    command = [sys.executable, "-c", SERVER, *words, "--port", str(port)]
    path = f"/{prefix.strip('/')}/health" if prefix.strip("/") else "/health"
    with tempfile.TemporaryDirectory(prefix="txpanel-") as folder:
        notes = Path(folder) / "switched-off"
        notes.touch()
        supervisor = Supervisor(command, lambda: probe(host, port, path, tls=tls), environment={NOTES: str(notes)})
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, supervisor.stop)
        code = supervisor.run()
    if supervisor.interrupted:
        raise KeyboardInterrupt
    return code


def _is_ours(word: str) -> bool:
    """Whether a word of the command line asks for a supervisor; argparse takes the beginning of an option for the whole."""
    return word.startswith("--su") and "--supervise".startswith(word)


def end_with_supervisor() -> None:
    """In the server: ends this process when the supervisor's has ended, however that came.

    The other end of standard input is the supervisor's; it closes with it, also on ``kill -9``. On Linux the kernel sees to it as well,
    for a server whose threads get no turn. A view that an earlier one of its processes switched off stays off.
    """
    from txpanel.server import switched_off  # late: only in a supervised server

    if notes := os.environ.pop(NOTES, ""):
        switched_off.keep(Path(notes))
    if sys.platform.startswith("linux"):
        _die_with_parent()
    end_with_parent(_end)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)  # it was frozen


def _die_with_parent() -> None:
    import ctypes  # late: on Linux, under a supervisor

    parent_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None, use_errno=True).prctl(parent_death_signal, signal.SIGKILL, 0, 0, 0)
