"""Slow work in a process of its own: downloads and conversions that report, can be stopped, and leave nothing behind.

The child writes one JSON object per line to its standard output: ``{"stage", "done", "total", "message"}`` while it
works, at the end ``{"result": ...}`` or ``{"error": class name of txpanel.errors, "message": sentence}``. It ends by
itself when the parent goes away, because then its standard input closes.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from txpanel import errors
from txpanel.errors import DownloadFailed, TxpanelError
from txpanel.messages import _, for_child
from txpanel.models.progress import Reporter

STDIN = 0
POLL = 0.1  # seconds between looks at the cancel button


@contextmanager
def started(command: list[str], env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a child process, whose messages are in the language in use here; it has ended when the block is left."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **for_child(), **(env or {}), "PYTHONIOENCODING": "utf-8"},
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a child process: terminate, and after two seconds kill."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def read_lines(stream: Any, put: Callable[[str | None], None]) -> None:
    """Pass every line of a pipe to ``put``, then ``None``; runs in a thread."""
    try:
        for line in stream:
            put(line)
    except ValueError:  # the parent stopped waiting and closed it
        pass
    finally:
        put(None)


def run(
    module: str,
    arguments: list[str],
    reporter: Reporter,
    *,
    env: Mapping[str, str] | None = None,
    patience: float | None = None,
) -> Any:
    """Run ``python -m module arguments`` and pass on what it reports.

    Args:
        module: a module that calls `main`.
        arguments: its command line.
        reporter: gets the progress, and is asked ten times a second whether to cancel.
        env: additions to the environment.
        patience: seconds without output of the child after which it is given up.

    Returns:
        What the child handed to ``result``.

    Raises:
        TxpanelError: the error the child reported, or `DownloadFailed` if it died or fell silent.
    """
    with started([sys.executable, "-m", module, *arguments], env) as process:
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        tail: deque[str | None] = deque(maxlen=8)
        for stream, put in ((process.stdout, lines.put), (process.stderr, tail.append)):
            threading.Thread(target=read_lines, args=(stream, put), daemon=True).start()
        return _follow(process, lines, tail, reporter, patience)


def _follow(
    process: subprocess.Popen[str],
    lines: queue.SimpleQueue[str | None],
    tail: deque[str | None],
    reporter: Reporter,
    patience: float | None,
) -> Any:
    stage: tuple[str, str] = ("", "")
    last_output = time.monotonic()
    while True:
        reporter.check()
        try:
            line = lines.get(timeout=POLL)
        except queue.Empty:
            if patience is not None and time.monotonic() - last_output > patience:
                raise DownloadFailed(
                    _("No answer for {seconds} seconds. Stopped.").format(seconds=round(patience))
                ) from None
            continue
        last_output = time.monotonic()
        if line is None:
            raise DownloadFailed(_died(process, tail))
        event = _event(line)
        if "error" in event:
            raise _error(event)
        if "result" in event:
            return event["result"]
        if "stage" in event:
            if (event["stage"], event["message"]) != stage:
                stage = (event["stage"], event["message"])
                reporter.start(event["stage"], event["message"], event["total"], event["done"])
            else:
                reporter.update(event["done"], event["total"])


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:  # a library printed something
        return {}
    return event if isinstance(event, dict) else {}


def _error(event: dict[str, Any]) -> TxpanelError:
    kind = getattr(errors, str(event["error"]), DownloadFailed)
    return kind(event["message"])


def _died(process: subprocess.Popen[str], tail: deque[str | None]) -> str:
    code = process.wait()
    words = " ".join(line.strip() for line in tail if line)[-400:]
    if code < 0:
        return _("The helper process was ended by the system (signal {n}); perhaps memory ran out.").format(n=-code)
    return _("The helper process ended unexpectedly (code {code}): {words}").format(code=code, words=words or "-")


def emit(**event: Any) -> None:
    """In the child: one line for the parent."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(work: Callable[[list[str]], Any], arguments: list[str]) -> None:
    """In the child: do `work`, and report its result or error to the parent."""
    end_with_parent()
    try:
        emit(result=work(arguments))
    except TxpanelError as error:
        emit(error=type(error).__name__, message=str(error))
    except OSError as error:
        emit(error="DownloadFailed", message=os_error_text(error))
    except MemoryError:
        emit(error="DownloadFailed", message=_("There is not enough memory for this model."))


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """In the child: end it when its standard input closes, which the system does when the parent ends, for whatever reason.

    Args:
        end: called to end it.
    """

    def listen() -> None:
        with suppress(OSError):
            while os.read(
                STDIN, 1024
            ):  # not through `sys.stdin`: its lock, held here, may abort the end of the interpreter
                pass
        end()

    threading.Thread(target=listen, name="txpanel-parent", daemon=True).start()


def os_error_text(error: OSError) -> str:
    """A sentence for an error of the operating system: full disk, missing permission, ..."""
    where = error.filename or _("the cache folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _("The disk is full: {where} could not be written. Free some space or set TXPANEL_CACHE.").format(
            where=where
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _("No permission to write {where}. Set TXPANEL_CACHE to a folder of your own.").format(where=where)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return _("{where} cannot be created: a file has this name. Set TXPANEL_CACHE to another folder.").format(
            where=where
        )
    return _("{where}: {reason}").format(where=where, reason=error.strerror or str(error))
