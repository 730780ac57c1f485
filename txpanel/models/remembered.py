"""The result of comparing a model of the catalogue with its own run, kept in the cache, so that the next process need not compare again.

Layout: ``<cache>/verified/<name>@<dtype>@<device>.json``. It is believed only where everything that the comparison depends on is the same
(:mod:`txpanel.models.comparison_facts`), no other user can have written it, and its checksum is right; else the model is compared.
It is kept only if the whole model agreed: where a part had to be closed or read in another way, the next process compares again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from txpanel.models import cache, disk
from txpanel.models.comparison_facts import Facts, facts_of

FORMAT = 1
LARGEST = 1_000_000
"""Bytes of a file that is read: a model of 100 blocks has 10,000."""

LanguageModel = Any  # its module imports this one


@dataclass(frozen=True, slots=True)
class Kept:
    """A comparison that was passed.

    Attributes:
        day: when. facts: what it depends on. differences: of each part (:class:`~txpanel.models.openness.Seen`).
        tuple_output, hands_on: what the run has shown of the blocks (:class:`~txpanel.models.parts.ModelParts`).
    """

    day: datetime.date
    facts: Facts
    differences: dict[str, float]
    tuple_output: int
    hands_on: bool


def compare(model: LanguageModel, *, anew: bool = False) -> None:
    """Compare a model with its own run, unless a valid result is kept; keep the result if all parts agree.

    Args:
        model: of the catalogue, just opened. anew: compare in any case.

    Raises:
        Unsupported: as the comparison.
    """
    facts = facts_of(model)
    path = place(model.name, str(model.dtype), model.device.type)
    kept = read(path) if facts is not None and not anew else None
    if kept is not None and kept.facts == facts:
        model.parts.tuple_output, model.parts.hands_on = kept.tuple_output, kept.hands_on
        model.seen.differences, model.seen.remembered = dict(kept.differences), kept.day
        return
    before = model.anatomy, model.parts.continues
    model.compare_now()
    model.watch.settle()  # what the runs themselves have changed, such as a growing table of positions, does not count
    if facts is None:
        return
    if (model.anatomy, model.parts.continues) != before or model.seen.closed or model.report().opaque:
        with suppress(OSError):  # what was kept of it holds no more
            path.unlink(missing_ok=True)
        return
    parts, today = model.parts, datetime.date.today()
    write(path, Kept(today, facts, dict(model.seen.differences), int(parts.tuple_output), bool(parts.hands_on)))


def place(name: str, dtype: str, device: str) -> Path:
    """The file of a model of the catalogue. Nothing is created."""
    return _folder() / f"{name}@{dtype.removeprefix('torch.')}@{device}.json"


def contents() -> list[tuple[str, str, str]]:
    """(name, dtype, device) of all that is kept, believed or not."""
    with suppress(OSError):
        names = sorted(path.stem.split("@") for path in _folder().glob("*.json"))
        return [(name[0], name[1], name[2]) for name in names if len(name) == 3]
    return []


def _folder() -> Path:
    return cache.root() / "verified"


def read(path: Path) -> Kept | None:
    """The content of a file; ``None``: there is none, another user may have written it, or it is damaged."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or not _owner_only(facts) or not _owner_only(path.parent.stat()):
                return None
            content = file.read(LARGEST + 1)
        given = json.loads(content, parse_constant=_refuse_constant) if len(content) <= LARGEST else {}
        body = given["kept"]
        if given["format"] != FORMAT or given["checksum"] != _checksum(body):
            return None
        return _parsed(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _owner_only(facts: os.stat_result) -> bool:
    """Whether only this user or root may write there. Windows has no such modes: there the user's folder itself keeps others out."""
    if not hasattr(os, "geteuid"):
        return True
    return facts.st_uid in (os.geteuid(), 0) and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _parsed(body: dict[str, Any]) -> Kept | None:
    """The content of JSON; ``None``: its values are not of the right kinds."""
    facts, differences = body["facts"], body["differences"]
    count, hands_on = body["tuple_output"], body["hands_on"]
    texts = all(isinstance(value, str) for value in facts.values())
    numbers = all(type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in differences.values())
    if not (texts and numbers and type(count) is int and count >= 0 and type(hands_on) is bool):
        return None
    found = {name: float(value) for name, value in differences.items()}
    return Kept(datetime.date.fromisoformat(body["day"]), dict(facts), found, count, hands_on)


def write(path: Path, kept: Kept) -> None:
    """Write a file in one step. If the cache cannot be written to, nothing happens."""
    body = {
        "day": kept.day.isoformat(),
        "facts": kept.facts,
        "tuple_output": kept.tuple_output,
        "hands_on": kept.hands_on,
        "differences": kept.differences,
    }
    with suppress(OSError, ValueError):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT, "checksum": _checksum(body), "kept": body}, indent=1, allow_nan=False)
        handle, new = tempfile.mkstemp(dir=path.parent, suffix=".new")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(new).chmod(0o644)  # a cache may be shared, to be read
            disk.move(new, path)
        finally:
            Path(new).unlink(missing_ok=True)


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()
