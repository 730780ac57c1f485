"""Token ids made readable: the exact bytes of each token, and a string to show for it."""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from txpanel.errors import BadText
from txpanel.messages import _
from txpanel.models.byte_spans import fit, in_order
from txpanel.models.memory import Store
from txpanel.models.vocabulary import Entry, Vocabulary


@dataclass(frozen=True, slots=True)
class Place:
    """Consecutive tokens that stand for an image or a sound: the model replaces their rows of the embedding matrix.

    Attributes:
        start, stop: of the tokens. kind: ``image``, ``video``, ``audio`` ...; "": it is not known what stands there.
        module: path of the module that computes the vectors put there.
    """

    start: int
    stop: int
    kind: str
    module: str


SHOWN = {"\n": "↵", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Attributes:
        ids: int64 [T]. strings: what to show, one per token; bytes that are no complete character as ``⟨E2 82⟩``.
        pieces: the bytes of each token; joined they are the UTF-8 text exactly. Tokens that are not in the text
            (such as a start-of-text token) have an empty piece.
        exact: whether the pieces join to the text (a tokenizer may normalise it away; then ``False``).
        places: the tokens that stand for an image or a sound; they have empty pieces.
    """

    ids: npt.NDArray[np.int64]
    strings: list[str]
    pieces: list[bytes]
    exact: bool = True
    places: tuple[Place, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def read_tokens(tokenizer: Any, ids: list[int], text: str | None = None, *, begins: bool = False) -> Tokens:
    """Bytes and strings of token ids.

    Args:
        tokenizer: a tokenizer of transformers. ids: T token ids.
        text: what they were made from; then the pieces join to it, unless the tokenizer has changed it before splitting.
        begins: whether a text begins with them (where no `text` is given): some tokenizers drop the blank before its first word.
    """
    vocabulary = _vocabulary(tokenizer)
    # each entry is read once per tokenizer: a text that grows asks for the same ones at every step
    known = _ENTRIES.get(vocabulary.key)
    if known is None:
        known = {}
    fresh = {token for token in ids if token not in known}
    for token in fresh:
        entry = vocabulary.entry(token)
        known[token] = entry, _string(entry, vocabulary.joins)
    if fresh:
        _ENTRIES.put(vocabulary.key, known)  # counted anew
    entries = [known[token][0] for token in ids]
    pieces, exact = [entry.piece for entry in entries], True
    if text is not None:
        wanted = text.encode("utf-8", "surrogatepass")
        if b"".join(pieces) != wanted:
            pieces = _fitted(tokenizer, ids, text, entries)
        exact = b"".join(pieces) == wanted
    elif begins and pieces and vocabulary.drops_first_blank:
        first = next((n for n, piece in enumerate(pieces) if piece), 0)
        pieces[first] = pieces[first].removeprefix(b" ")
    return Tokens(np.asarray(ids, np.int64), [known[token][1] for token in ids], pieces, exact)


def with_places(tokens: Tokens, places: tuple[Place, ...]) -> Tokens:
    """The same tokens, those of an image or a sound shown as that: ``<image> 3 of 49``."""
    strings, pieces = list(tokens.strings), list(tokens.pieces)
    for place in places:
        if place.kind:
            for at in range(place.start, place.stop):
                strings[at] = f"<{place.kind}> {at - place.start + 1} of {place.stop - place.start}"
                pieces[at] = b""
    return replace(tokens, strings=strings, pieces=pieces, places=places)


def token_ids(source: Iterable[Any]) -> list[int]:
    """Token ids as plain numbers.

    Args:
        source: whole numbers, as a list, an array [T] or a tensor [T] or [1, T].

    Raises:
        BadText: it holds something else.
    """
    try:
        given = source.tolist() if hasattr(source, "tolist") else list(source)
        if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
            given = given[0]
        if any(isinstance(token, bool) for token in given):
            raise TypeError
        return [operator.index(token) for token in given]
    except TypeError as error:
        raise BadText(_("Token ids are whole numbers, one after another: [12, 5, 7].")) from error


def _string(entry: Entry, joins: bool) -> str:
    if entry.special:
        return entry.name
    return show(entry.name.encode("utf-8", "surrogatepass") if joins and entry.raw else entry.raw)


def _vocabulary(tokenizer: Any) -> Vocabulary:
    """The tokenizer's entries, read anew when there are more of them."""
    found = tokenizer.__dict__.get("_txpanel_vocabulary")
    if found is None or found.size != len(tokenizer):
        found = tokenizer.__dict__["_txpanel_vocabulary"] = Vocabulary(tokenizer)
    return cast("Vocabulary", found)


def _fitted(tokenizer: Any, ids: list[int], text: str, entries: list[Entry]) -> list[bytes]:
    """The pieces by the tokenizer's character offsets; from the vocabulary entries alone where it reports none."""
    if getattr(tokenizer, "is_fast", False):
        read = tokenizer(text, return_offsets_mapping=True)
        if list(read["input_ids"]) == ids:
            return fit(text, entries, [(int(a), int(b)) for a, b in read["offset_mapping"]])
    return in_order(text, entries)


ENTRY = 300
"""Bytes of an entry, about."""

_ENTRIES: Store[object, dict[int, tuple[Entry, str]]] = Store("vocabularies", lambda known: ENTRY * len(known))
"""Entries that were read, of each tokenizer, with what to show for them."""


def show(piece: bytes) -> str:
    r"""A printable form of a token's bytes: no replacement characters, and invisible characters as their code point.

    >>> show(b" make"), show(b"\\xe2\\x82"), show(b"\\n")
    (' make', '⟨E2 82⟩', '↵')
    """
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        return _mixed(piece)
    return "".join(_visible(character) for character in text)


def _mixed(piece: bytes) -> str:
    """Bytes that begin or end inside a character: whole characters as such, the rest as hex."""
    shown, rest = [], piece
    while rest:
        size = next((n for n in range(1, min(4, len(rest)) + 1) if _is_utf8(rest[:n])), 0)
        if size:
            shown.append("".join(_visible(character) for character in rest[:size].decode("utf-8")))
            rest = rest[size:]
            continue
        stop = next((n for n in range(1, len(rest)) if _is_utf8(rest[n : n + 1])), len(rest))
        shown.append("⟨" + " ".join(f"{byte:02X}" for byte in rest[:stop]) + "⟩")
        rest = rest[stop:]
    return "".join(shown)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _visible(character: str) -> str:
    if character in SHOWN:
        return SHOWN[character]
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") or character in "\u00a0\u200b":
        return f"⟨U+{ord(character):04X}⟩"
    return character


def alone(text: str) -> str:
    """A token as it is shown in a sentence or a label: one that is only blanks gets a visible sign for each of them."""
    if not text or text.strip():
        return text
    return "".join({" ": "␣", "\n": "↵", "\t": "⇥"}.get(blank, f"⟨U+{ord(blank):04X}⟩") for blank in text)


def visible(text: str) -> str:
    """A token as it is shown between quotation marks: leading blanks are drawn as ``␣``, since they would look like a typing error."""
    bare = text.lstrip(" ")
    return "␣" * (len(text) - len(bare)) + bare if bare.strip() else alone(text)
