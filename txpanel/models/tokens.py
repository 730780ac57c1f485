"""Token ids made readable: the exact bytes of each token, and a string to show for it."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

SHOWN = {"\n": "↵", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Attributes:
        ids: int64 [T]. strings: what to show, one per token; bytes that are no complete character as ``⟨E2 82⟩``.
        pieces: the bytes of each token; joined they are the UTF-8 text exactly. Tokens that are not in the text
            (such as a start-of-text token) have an empty piece.
        exact: whether the pieces join to the text (a tokenizer may normalise it away; then ``False``).
    """

    ids: npt.NDArray[np.int64]
    strings: list[str]
    pieces: list[bytes]
    exact: bool = True

    def __len__(self) -> int:
        return len(self.ids)


def read_tokens(tokenizer: Any, ids: list[int], text: str | None = None) -> Tokens:
    """Bytes and strings of token ids.

    Args:
        tokenizer: a fast tokenizer of transformers. ids: T token ids.
        text: what they were made from; then the pieces are adjusted so that they join to it, where that is possible.
    """
    # each entry is read once per tokenizer: a text that grows asks for the same ones at every step
    known: dict[int, _Entry] = tokenizer.__dict__.setdefault("_txpanel_entries", {})
    for token in set(ids) - known.keys():
        known[token] = _entry(tokenizer, token)
    entries = [known[token] for token in ids]
    pieces, strings = [entry.piece for entry in entries], [entry.string for entry in entries]
    exact = True
    if text is not None:
        wanted = text.encode("utf-8", "surrogatepass")
        pieces = _fit(pieces, [entry.raw for entry in entries], wanted)
        exact = b"".join(pieces) == wanted
    return Tokens(np.asarray(ids, np.int64), strings, pieces, exact)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a vocabulary: its bytes, its bytes in the text (none for special tokens), what to show."""

    raw: bytes
    piece: bytes
    string: str


def _entry(tokenizer: Any, token: int) -> _Entry:
    raw = _piece(tokenizer, token)
    special = token in tokenizer.all_special_ids
    return _Entry(raw, b"" if special else raw, _name(tokenizer, token) if special else show(raw))


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


def _name(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))


def _piece(tokenizer: Any, token: int) -> bytes:
    """The bytes that a vocabulary entry stands for."""
    added = tokenizer.added_tokens_decoder.get(token)
    if added is not None:
        return str(added.content).encode()
    entry = tokenizer.convert_ids_to_tokens(token)
    if entry is None:  # an id beyond the vocabulary: some models have padding rows in their table
        return b""
    return _entry_bytes(str(entry), _is_byte_level(tokenizer))


def _entry_bytes(entry: str, byte_level: bool) -> bytes:
    if byte_level:
        table = _byte_table()
        return b"".join(bytes([table[c]]) if c in table else c.encode() for c in entry)
    if len(entry) == 6 and entry.startswith("<0x") and entry.endswith(">"):
        return bytes([int(entry[3:5], 16)])
    return entry.replace("▁", " ").encode()


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return False
    known = getattr(tokenizer, "_txpanel_byte_level", None)
    if known is None:
        known = '"ByteLevel"' in json.dumps(json.loads(backend.to_str()).get("decoder"))
        tokenizer._txpanel_byte_level = known
    return bool(known)


@lru_cache(maxsize=1)
def _byte_table() -> dict[str, int]:
    """GPT-2's bijection between the 256 bytes and printable characters, backwards (Radford et al. 2019)."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in kept]
    return {chr(byte): byte for byte in kept} | {chr(256 + n): byte for n, byte in enumerate(moved)}


def _fit(pieces: list[bytes], raw: list[bytes], wanted: bytes) -> list[bytes]:
    """Adjust pieces to the text: drop an added leading space, give literally typed special tokens their bytes."""
    if b"".join(pieces) == wanted:
        return pieces
    fitted, at = [], 0
    for piece, literal in zip(pieces, raw, strict=True):
        candidates = (piece, piece.removeprefix(b" ") if at == 0 else piece, literal)
        chosen = next((c for c in candidates if c and wanted.startswith(c, at)), b"")
        fitted.append(chosen)
        at += len(chosen)
    return fitted if b"".join(fitted) == wanted else pieces


def alone(text: str) -> str:
    """A token as it is shown in a sentence or a label: one that is only blanks gets a visible sign for each of them."""
    if not text or text.strip():
        return text
    return "".join({" ": "␣", "\n": "↵", "\t": "⇥"}.get(blank, f"⟨U+{ord(blank):04X}⟩") for blank in text)
