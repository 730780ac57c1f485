"""The state in the address of the page, so that a link or a reload shows the same thing.

Everything in an address may have been typed by anybody: each value is read and clamped by itself, and one that makes no
sense is left out without harm to the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from txpanel.decoding import FIELDS
from txpanel.decoding.ranges import FARTHEST_SEED, RANGES
from txpanel.decoding.settings import OFF, USUAL
from txpanel.decoding.stages import SPECS
from txpanel.page.browser_storage import NAME
from txpanel.session.selection import Question

__all__ = ["LONGEST_FILM", "LONGEST_TEXT", "OF_THE_STATE", "holds_a_run", "read", "settings", "write"]

LONGEST_TEXT = 2000
"""Characters of text kept in an address; browsers and proxies cut longer ones."""

LONGEST_FILM = 4000
"""Characters of what was generated: about 1,000 tokens."""

OF_THE_STATE = ("layer", "head", "query", "key", "neuron", *FIELDS)
"""The parameters of `ModelState` that are words of the address."""

VERSIONS: dict[int, dict[str, float]] = {1: OFF, 2: USUAL}
"""What the settings are that an address leaves out, by the version that it says (``v``); one that says none is of version 1."""

VERSION = max(VERSIONS)

DEFAULTS: dict[str, Any] = {"layer": 0, "head": 0, "key": 0, "neuron": 0, **VERSIONS[VERSION]}

NO_RUN = frozenset({"model", "view", "dark", "chat", "lang", "lesson", "step", "class"})
"""Words that do not describe a run: an address with only these begins as the page without an address does."""


def _whole(most: float) -> Callable[[str], int]:
    return lambda text: min(max(int(text), 0), int(most))


def _setting(name: str, positive: bool) -> Callable[[str], float]:
    kind, least, most = RANGES[name]

    def read(text: str) -> float:
        value = kind(text)
        if value != value or (positive and value <= 0):  # NaN is not itself
            raise ValueError(text)
        return kind(min(max(value, least), most))

    return read


def _name(text: str) -> str:
    if not text or len(text) > 300 or not text.isprintable():
        raise ValueError(text)
    return text


def _id(text: str) -> str:
    if len(text) > 60 or not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(text)
    return text


def _packed(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    if not 0 < len(text) <= LONGEST_FILM or not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(text)
    return text


CELL = re.compile(r"([A-Za-z0-9_.]{1,200})((?:~[a-z_]{1,20}-[0-9]{1,8}){0,6})")
"""A question: the tensor's name and its cell, as in ``blocks.3.pattern~head-2~query-4~key-1``."""


def _question(text: str) -> Question:
    found = CELL.fullmatch(text)
    if found is None:
        raise ValueError(text)
    places = (part.split("-") for part in found[2].split("~")[1:])
    return Question(found[1], {axis: int(place) for axis, place in places})


def _flag(text: str) -> bool:
    return {"1": True, "0": False}[text]


READERS: dict[str, Callable[[str], Any]] = {
    "model": _name,
    "text": str,
    "film": _packed,
    "chat": _flag,
    "layer": _whole(9999),
    "head": _whole(9999),
    "query": _whole(10**7),
    "key": _whole(10**7),
    "neuron": _whole(10**7),
    **dict.fromkeys(FIELDS, _whole(FARTHEST_SEED)),  # in this order; the stages have ranges of their own
    **{spec.key: _setting(spec.key, spec.positive) for spec in SPECS},
    "why": _question,
    "view": _id,
    "dark": _flag,
    "lang": _id,
    "lesson": _id,
    "step": _id,
    "class": _id,
    "v": lambda text: min(max(int(text), 1), VERSION),
}


def read(search: str) -> dict[str, Any]:
    """What a query string such as ``"?text=Hi&layer=3"`` says; nonsense is left out, each value by itself."""
    try:
        given = parse_qs(search.lstrip("?"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}
    found: dict[str, Any] = {}
    for name, reader in READERS.items():
        try:
            found[name] = reader(given[name][-1])
        except (KeyError, ValueError, OverflowError):
            continue
    return found


def holds_a_run(given: Mapping[str, Any]) -> bool:
    """Whether an address, as `read` gives it, says more than which model, view and theme to begin with."""
    return bool(given.keys() - NO_RUN)


def settings(given: Mapping[str, Any]) -> dict[str, float]:
    """All sampling settings of an address: those it names, and the others as they were usual when it was written."""
    usual = VERSIONS[given.get("v", 1 if holds_a_run(given) else VERSION)]
    return {name: given.get(name, usual[name]) for name in FIELDS}


def write(values: Mapping[str, Any]) -> str:
    """The query string of a state; what is as usual, and a text too long for an address, is left out."""
    kept: dict[str, str] = {}
    for name in READERS:
        value = values.get(name)
        if value is None or value == DEFAULTS.get(name, "") or (name == "text" and len(value) > LONGEST_TEXT):
            continue
        kept[name] = _word(value)
    if kept:
        kept["v"] = str(VERSION)
    return f"?{urlencode(kept)}" if kept else ""


def _word(value: Any) -> str:
    if isinstance(value, Question):
        return "~".join([value.name, *(f"{axis}-{place}" for axis, place in value.index.items())])
    return str(int(value)) if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
