"""What each entry of a tokenizer's vocabulary stands for: its bytes within a text, as the tokenizer's own decoder has them.

Vocabularies write blanks and bytes in ways of their own: ``Ġthe`` (one printable character for each byte), ``▁the`` (a mark for the blank),
``##ing`` (goes on without a blank), ``the</w>`` (a blank follows), ``<0xE2>`` (one byte). An entry alone does not show which
of these is meant, so the decoder is called with the entry between two neutral ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NEUTRAL = "x"
"""An entry that every decoder leaves as it is."""
MARK = "▁"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a vocabulary.

    Attributes:
        raw: its own bytes. piece: its bytes in the middle of a text, with a blank that the decoder puts before it; none for special tokens.
        name: what the vocabulary calls it. special: whether it is a special token, not text. unknown: whether it is the unknown token.
    """

    raw: bytes
    piece: bytes
    name: str
    special: bool = False
    unknown: bool = False


class Vocabulary:
    """The entries of a tokenizer of transformers, fast or slow.

    Attributes:
        size: how many entries it has. key: identifies it, without a reference to the tokenizer.
        joins: whether its decoder puts the blanks between words, which are in no entry.
        drops_first_blank: whether its decoder drops the blank with which the first piece of a text begins.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size, self.key = len(tokenizer), object()
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = getattr(self._backend, "decoder", None)
        self._decode = decoder.decode if decoder is not None else None
        self._byte_level = "ByteLevel" in _kinds(decoder) or (decoder is None and self._splits_bytes())
        self._bytes = not self._byte_level and self._joined(["<0x41>"]) == "A"
        self._latin = (
            self._backend is None and self._text(["Ã", "©"]) == "é"
        )  # ByT5's kind: an entry is the character of a byte's number
        self._special = set(tokenizer.all_special_ids)
        self._unknown = self._unknown_id()
        self.joins = not self._byte_level and self._joined([NEUTRAL]).startswith(" ")
        self.drops_first_blank = not self._byte_level and any(
            self._joined([start]).startswith(" ") and not self._begun([start]).startswith(" ")
            for start in (NEUTRAL, MARK + NEUTRAL)
        )

    def entry(self, token: int) -> Entry:
        """One entry; an id beyond the vocabulary (some models have spare rows in their table) is one without bytes."""
        name = self.tokenizer.convert_ids_to_tokens(token) if token >= 0 else None
        if name is None:
            return Entry(b"", b"", "")
        name, special, unknown = str(name), token in self._special, token == self._unknown
        added = self.tokenizer.added_tokens_decoder.get(token)
        if added is not None:
            raw = str(added.content).encode("utf-8", "surrogatepass")
            return Entry(raw, b"" if special else raw, name, special, unknown)
        piece = self._piece(name)
        raw = piece.removeprefix(b" ") if self.joins else piece
        return Entry(raw, b"" if special else piece, name, special, unknown)

    def _piece(self, name: str) -> bytes:
        if self._byte_level:
            table = byte_table()
            return b"".join(bytes([table[c]]) if c in table else c.encode("utf-8", "surrogatepass") for c in name)
        if self._latin and len(name) == 1 and ord(name) < 256:
            return bytes([ord(name)])
        if self._bytes and len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
            try:
                return bytes([int(name[3:5], 16)])
            except ValueError:
                pass
        return self._joined([name]).encode("utf-8", "surrogatepass")

    def _joined(self, names: list[str]) -> str:
        """What the decoder makes of entries in the middle of a text."""
        before, after = self._text([NEUTRAL]), self._text([NEUTRAL, NEUTRAL])
        whole, head, tail = self._text([NEUTRAL, *names, NEUTRAL]), len(before), len(after) - len(before)
        return whole[head : len(whole) - tail]

    def _begun(self, names: list[str]) -> str:
        """What the decoder makes of entries with which a text begins."""
        tail = len(self._text([NEUTRAL, NEUTRAL])) - len(self._text([NEUTRAL]))
        whole = self._text([*names, NEUTRAL])
        return whole[: len(whole) - tail]

    def _text(self, names: list[str]) -> str:
        try:
            if self._decode is not None:
                return str(self._decode(names))
            if self._backend is None:  # a slow tokenizer
                return str(self.tokenizer.convert_tokens_to_string(names))
        except Exception:  # one that was written in Python may raise anything for entries that are not its own
            return "".join(names)
        if type(self._backend.model).__name__ in ("WordPiece", "WordLevel"):  # no decoder: words that blanks divide
            prefix = getattr(self._backend.model, "continuing_subword_prefix", None) or "\0"
            return "".join(n.removeprefix(prefix) if n.startswith(prefix) else " " + n for n in names).removeprefix(" ")
        return "".join(names).replace(MARK, " ")

    def _splits_bytes(self) -> bool:
        return any(
            "ByteLevel" in _kinds(getattr(self._backend, part, None)) for part in ("pre_tokenizer", "normalizer")
        )

    def _unknown_id(self) -> int | None:
        stated = getattr(self.tokenizer, "unk_token_id", None)
        name = getattr(getattr(self._backend, "model", None), "unk_token", None)
        own = self._backend.token_to_id(name) if name and self._backend is not None else None
        found = own if own is not None else stated
        return None if found is None else int(found)


def _kinds(part: Any) -> set[str]:
    """The names of the steps of a decoder, a normalizer or a pre-tokenizer."""
    if part is None:
        return set()
    try:
        todo, found = [json.loads(part.__getstate__())], set[str]()
    except Exception:  # one that was written in Python can't say what it is
        return set()
    while todo:
        step = todo.pop()
        if isinstance(step, dict):
            found.add(str(step.get("type")))
            todo += list(step.values())
        elif isinstance(step, list):
            todo += step
    return found


@lru_cache(maxsize=1)
def byte_table() -> dict[str, int]:
    """GPT-2's bijection between the 256 bytes and printable characters, backwards (Radford et al. 2019)."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in kept]
    return {chr(byte): byte for byte in kept} | {chr(256 + n): byte for n, byte in enumerate(moved)}
