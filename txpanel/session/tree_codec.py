"""A tree as what it takes to make it again: tokens, settings, branches. It fits into an address or a small file.

Settings stand in it by name, those that are off left out (version 2). Version 1 had the values of seven settings in a row.
Everything in it may have been written by anybody: `unpack` checks each number and refuses in words.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

from txpanel.decoding import FIELDS, Settings
from txpanel.decoding.generation import End
from txpanel.decoding.ranges import FARTHEST_SEED
from txpanel.decoding.settings import OFF
from txpanel.messages import _
from txpanel.session.token_tree import TokenTree

VERSION = 2
VERSION_1 = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size")
"""The settings of version 1, in the order in which it wrote their values."""
MOST = 20_000
"""Most tokens of a record: no real tree has as many."""
BYTES = 4_000_000
"""Most bytes of an unpacked record."""
ENDS: tuple[End, ...] = ("", "end of text", "full", "enough", "stopped")


class NewerVersion(ValueError):
    """What was saved can only be opened by a newer txpanel; ``str()`` is a sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One token: after which node, which, with which settings, whether it was drawn with them, and why generating ended."""

    parent: int
    token: int
    settings: Settings
    drawn: bool
    ended: End = ""


@dataclass(frozen=True)
class TreeRecord:
    """A tree without its numbers.

    Attributes:
        text: of the prompt. chat: whether it is a turn of a conversation. entries: the tokens, in the tree's order.
        at: the current node. leaf: the end of the line that runs through it.
        note: a sentence to show with it: what could not be brought back.
    """

    text: str = ""
    chat: bool = False
    entries: tuple[Entry, ...] = ()
    at: int = 0
    leaf: int = 0
    note: str = ""

    @property
    def branches(self) -> int:
        """How many branches it has."""
        return len(self.entries) - len({entry.parent for entry in self.entries} - {0})


def record(tree: TokenTree) -> TreeRecord:
    """What it takes to make a tree again."""
    entries = (Entry(s.parent, s.token, s.settings, s.draw is not None, s.ended) for s in tree.nodes)
    return TreeRecord(tree.root.text, tree.root.chat, tuple(entries), tree.at, tree.leaf)


def pack(given: TreeRecord) -> str:
    """Tokens and branches as a short text of letters, digits, ``-`` and ``_``; the prompt is not in it."""
    unseeded = [replace(entry.settings, seed=0) for entry in given.entries]
    kinds = {each: which for which, each in enumerate(dict.fromkeys(unseeded))}
    rows: list[Any] = []
    before = Entry(-1, 0, Settings(), True)
    for n, entry in enumerate(given.entries, 1):
        which = kinds[unseeded[n - 1]]
        usual = n > 1 and replace(before.settings, seed=before.settings.seed + 1) == entry.settings
        if usual and entry.parent == n - 1 and entry.drawn and not entry.ended:
            rows.append(entry.token)
        else:
            rows.append(
                [entry.token, entry.parent, which, entry.settings.seed, int(entry.drawn), ENDS.index(entry.ended)]
            )
        before = entry
    facts = {"v": VERSION, "s": [by_name(each) for each in kinds], "n": rows, "a": given.at, "l": given.leaf}
    data = zlib.compress(json.dumps(facts, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpack(packed: str, text: str = "", chat: bool = False) -> TreeRecord:
    """The inverse of `pack`.

    Raises:
        NewerVersion: a newer txpanel made it. ValueError: it is not what `pack` makes, or contradicts itself.
    """
    try:
        return _checked(_facts(packed), text, chat)
    except NewerVersion:
        raise
    except (KeyError, TypeError, ValueError, IndexError, RecursionError, OverflowError) as error:
        raise ValueError(_("The generated text in this address or file is damaged, so it is left out.")) from error


def by_name(settings: Settings) -> dict[str, float]:
    """The settings that are not off."""
    return {name: getattr(settings, name) for name in FIELDS if getattr(settings, name) != OFF[name]}


def from_names(given: Any) -> Settings:
    """The inverse of `by_name`.

    Raises:
        NewerVersion: a name is unknown. ValueError: it is no such table, or a value is impossible.
    """
    if not isinstance(given, dict):
        raise ValueError("settings")
    unknown = ", ".join(sorted(name for name in given if name not in OFF))
    if unknown:
        text = _(
            "This run was made with settings that this version of txpanel does not know ({names}), so it is left out. "
            "A newer txpanel can open it."
        )
        raise NewerVersion(text.format(names=unknown[:80]))
    return Settings(**given)


def _facts(packed: str) -> dict[str, Any]:
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        opener = zlib.decompressobj()
        plain = opener.decompress(data, BYTES)  # no more than that, however small what was packed looks
    except (binascii.Error, zlib.error) as error:
        raise ValueError("packing") from error
    if not opener.eof:
        raise ValueError("too long or cut short")
    facts = json.loads(plain)
    version = _whole(facts["v"]) if isinstance(facts, dict) else 0
    if version > VERSION:
        raise NewerVersion(
            _("This run was saved by a newer version of txpanel, so it is left out. Update txpanel to open it.")
        )
    if version < 1:
        raise ValueError("version")
    return facts


def _checked(facts: dict[str, Any], text: str, chat: bool) -> TreeRecord:
    table, rows, entries = facts["s"], facts["n"], list[Entry]()
    if len(rows) > MOST or len(table) > len(rows) + 1:  # before they are looked at: a short link may hold a million
        raise ValueError("tokens")
    if facts["v"] == 1:
        table = [dict(zip(VERSION_1, row, strict=True)) for row in table]
    kinds, which = [from_names(row) for row in table], 0
    for n, row in enumerate(rows, 1):
        if isinstance(row, int):  # drawn after the one before it, with the same settings and the next seed
            row = [row, n - 1, which, entries[-1].settings.seed + 1, 1, 0]
        token, parent, which, drawn, ended = (_whole(value) for value in [*row[:3], *row[4:]])
        seed = _whole(row[3], FARTHEST_SEED)
        if parent >= n:
            raise ValueError("parent")
        entries.append(Entry(parent, token, replace(kinds[which], seed=seed), bool(drawn), ENDS[ended]))
    at, leaf = (_whole(facts[name]) for name in ("a", "l"))
    if max(at, leaf) > len(rows):
        raise ValueError("place")
    return TreeRecord(text, chat, tuple(entries), at, leaf)


def _whole(value: Any, most: int = 2**32 - 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError("number")
    return value
