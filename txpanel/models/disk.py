"""Moving and deleting on Windows, where a file that anybody has open can be neither moved nor deleted.

Virus scanners and indexers open each new file for a moment, so what fails is tried again for a second. Elsewhere nothing of this comes up,
and the first error counts.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["delete", "move"]

HELD = {5, 32, 33, 145}
"""Windows: access denied, sharing violation, lock violation, folder not empty (of a file in it that is not quite gone)."""
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Seconds to wait before each further try."""


def move(source: str | Path, target: str | Path) -> Path:
    """Puts a file in the place of another, or a folder where there is none, all at once.

    Raises:
        OSError: it stays where it was.
    """
    _retry(lambda: os.replace(source, target))
    return Path(target)


def delete(folder: Path, *, strict: bool = False) -> None:
    """Deletes a folder with all that is in it; nothing happens where there is none.

    Args:
        strict: what can't be deleted raises; else it stays.

    Raises:
        OSError: with `strict`.
    """
    try:
        _retry(lambda: shutil.rmtree(folder))
    except FileNotFoundError:
        return
    except OSError:
        if strict:
            raise
        shutil.rmtree(folder, ignore_errors=True)  # delete what can be deleted


def _retry(work: Callable[[], object]) -> None:
    for pause in PAUSES:
        try:
            work()
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in HELD:
                raise
        time.sleep(pause)
    work()
