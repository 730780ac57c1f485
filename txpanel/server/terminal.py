"""Progress bars, tables and signs for the terminal, whatever it can write, and Ctrl-C that first asks to stop and only then interrupts."""

from __future__ import annotations

import codecs
import io
import shutil
import signal
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

from txpanel.models.progress import Progress

WIDTH = 24  # of the bar itself
PLAIN = {
    "✓": "+", "✗": "x", "█": "#", "░": ".", "·": "-", "…": "...", "—": "-", "–": "-", "−": "-", "×": "x", "→": "->", "≤": "<=", "≥": ">=",
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "␣": "_",
}  # fmt: skip
"""ASCII replacements of our signs, for a file or terminal that cannot write them (cp1252, cp437, ASCII, ...)."""


def write_anything() -> None:
    """From now on nothing that is printed raises because of its letters: what the encoding lacks is written in ASCII, or as a question mark."""
    codecs.register_error("txpanel", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="txpanel")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter) or _bare(letter) for letter in letters), error.end


def _bare(letter: str) -> str:
    """A letter without its accents."""
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


class Bar:
    """Draws `Progress` reports: one line that is rewritten on a terminal, one line for each stage in a file.

    Args:
        stream: where to; by default standard error, so that results can be piped.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._stage = ""
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """Show a report."""
        if self.stream.isatty():
            self._rewrite(progress)
        elif progress.stage != self._stage:
            print(progress.message, file=self.stream, flush=True)
        self._stage = progress.stage

    def close(self) -> None:
        """End the line, so that what follows starts on its own."""
        if self._open:
            print(file=self.stream, flush=True)
        self._open = False

    def _rewrite(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self.close()
        room = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{fitted(self._line(progress), room)}", end="", file=self.stream, flush=True)
        self._open = True

    def _line(self, progress: Progress) -> str:
        share = progress.fraction
        if share is None:
            return str(progress)
        full = round(share * WIDTH)
        numbers = str(replace(progress, message=""))  # the message comes last: it may be cut, the time left must not
        return f"{'█' * full}{'░' * (WIDTH - full)} {share:4.0%} {numbers} · {progress.message}"


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event that is given, the second one interrupts as usual."""
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel  # only the main thread may have signal handlers
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_signal: int, _frame: object) -> None:
        cancel.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, columns as wide as they need to be."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    padded = [[cell + " " * (w - width(cell)) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)


def width(text: str) -> int:
    """Columns that a text takes in a terminal: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fitted(text: str, room: int) -> str:
    """The text, cut to the columns that are there."""
    while width(text) > room:
        text = text[:-2] + "…" if len(text) > 1 else ""
    return text
