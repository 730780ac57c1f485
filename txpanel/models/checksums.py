"""Whether files have changed: a quick check each time a model is opened, a full one on request.

Of each file its SHA-256 is kept, when it was written, and a hash of `SAMPLE` bytes of every `STRIDE`: these are read in milliseconds and
notice a change of any piece of `STRIDE` bytes. A file that was written to since then is read wholly.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STRIDE = 1 << 20
"""Bytes from the start of one sample to the start of the next."""
SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class Checksum:
    """What is kept of a file.

    Attributes:
        size: in bytes. sha256: of all of it. samples: of some of it. written: its time of modification, in nanoseconds.
    """

    size: int
    sha256: str
    samples: str
    written: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def take(path: Path) -> Checksum:
    """The checksums of a file, which is read wholly.

    Raises:
        OSError: it cannot be read.
    """
    facts = path.stat()
    return Checksum(facts.st_size, whole(path), samples(path), facts.st_mtime_ns)


def read(given: Any) -> Checksum | None:
    """From JSON; None: it makes no sense."""
    try:
        size, written = int(given["size"]), int(given["written"])
        return Checksum(size, str(given["sha256"]), str(given["samples"]), written)
    except (KeyError, TypeError, ValueError):
        return None


def whole(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def samples(path: Path) -> str:
    """A hash of the first bytes of every `STRIDE`, and of the last ones."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start in [*range(0, size, STRIDE), max(size - SAMPLE, 0)]:
            file.seek(start)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


def same(path: Path, kept: Checksum, *, deep: bool = False) -> bool:
    """Whether a file is still what it was.

    Args:
        path: the file.
        kept: what is known of it.
        deep: whether to read all of it in any case.
    """
    try:
        facts = path.stat()
        if facts.st_size != kept.size or samples(path) != kept.samples:
            return False
        return (facts.st_mtime_ns == kept.written and not deep) or whole(path) == kept.sha256
    except OSError:
        return False
