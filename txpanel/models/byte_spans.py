"""Which bytes of a text each of its tokens stands for, from the character offsets that the tokenizer reports.

Vocabulary entries alone cannot tell: a blank before the first word may be the tokenizer's own, blanks between words may be in no entry, an
unknown word is the entry ``<unk>``. What a tokenizer changes before it splits the text (capitals, accents) stays changed: then the pieces do
not join to the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from txpanel.models.vocabulary import Entry

BLANKS = b" \t\n\r\v\f"
"""What tokenizers drop between words."""

Span = tuple[int, int]


def fit(text: str, entries: Sequence[Entry], spans: Sequence[Span]) -> list[bytes]:
    """The piece of each token; joined they are the text, unless the tokenizer has changed it.

    Args:
        text: of T tokens. entries: of each token. spans: of each token, its characters of the text, as a fast tokenizer states them; empty for
            tokens that are not in the text.
    """
    data = text.encode("utf-8", "surrogatepass")
    at_byte = (
        [0, *accumulate(len(c.encode("utf-8", "surrogatepass")) for c in text)] if len(data) != len(text) else None
    )
    ends = [(a, b) if at_byte is None else (at_byte[a], at_byte[b]) for a, b in spans]
    follows = len(data)
    starts = [0] * len(ends)  # where the next token that has characters begins
    for n in range(len(ends) - 1, -1, -1):
        starts[n] = follows
        if ends[n][0] < ends[n][1]:
            follows = ends[n][0]
    pieces, at, last = list[bytes](), 0, -1
    for n, (entry, (begin, end)) in enumerate(zip(entries, ends, strict=True)):
        if entry.special and begin == end and not entry.unknown:
            pieces.append(b"")
            continue
        piece, at = _one(data, at, end, starts[n], entry)
        pieces.append(piece)
        last = n
    rest = data[at:]
    if rest and last >= 0 and not rest.strip(BLANKS):
        pieces[last] += rest
    return pieces


def _one(data: bytes, at: int, end: int, follows: int, entry: Entry) -> tuple[bytes, int]:
    """The piece of a token whose characters end at byte `end`, and the byte after it.

    Args:
        at: the first byte that no token has yet. follows: where the next token's characters begin; before `end`: they are shared.
    """
    shared = follows < end
    candidates = (entry.piece, entry.raw, entry.name.encode("utf-8", "surrogatepass"))
    for wanted in candidates:
        stop = at + len(wanted)
        whole = shared or not data[stop:end].strip(BLANKS)
        if wanted and whole and stop <= max(end, follows) and data.startswith(wanted, at):
            stop = stop if shared else max(stop, end)
            return data[at:stop], stop
    here = data[at:end]
    bare = _without_blanks(here)
    lead = here[: len(here) - len(bare)]
    plain = not lead.strip(b" ")
    for wanted in candidates:
        said = wanted.lstrip(b" ")
        if wanted and (said == wanted or plain):  # an entry for a blank does not stand for a line break
            if bare.rstrip(BLANKS) == said.rstrip(b" "):
                return here, max(at, end)
            if shared and said and bare.startswith(said):
                return lead + said, at + len(lead) + len(said)
    if not entry.piece.strip(b" ") and shared:  # the tokenizer's own blank, before characters that are the next token's
        return lead, at + len(lead)
    if entry.unknown:
        return here, max(at, end)
    changed = entry.raw or entry.piece
    return (changed if changed.startswith(b" ") else lead + changed), max(at, end)


def _without_blanks(data: bytes) -> bytes:
    """The bytes without leading blanks, of any alphabet."""
    try:
        return data.decode("utf-8").lstrip().encode("utf-8")
    except UnicodeDecodeError:  # it begins or ends within a character
        return data.lstrip(BLANKS)


def in_order(text: str, entries: Sequence[Entry]) -> list[bytes]:
    """The piece of each token, found in the text one after another, for tokenizers that do not say where each came from."""
    data, pieces, at, last = text.encode("utf-8", "surrogatepass"), list[bytes](), 0, -1
    for n, entry in enumerate(entries):
        bare = len(data[at:]) - len(data[at:].lstrip(BLANKS))
        said = [wanted for wanted in (entry.piece, entry.piece.removeprefix(b" "), entry.raw) if wanted]
        gaps = ((wanted, gap) for gap in ({0, bare} if not entry.special else {0}) for wanted in said)
        found = next((gap + len(wanted) for wanted, gap in gaps if data.startswith(wanted, at + gap)), 0)
        pieces.append(data[at : at + found])
        at, last = at + found, n if found else last
    if last >= 0 and not data[at:].strip(BLANKS):
        pieces[last] += data[at:]
        at = len(data)
    return pieces if at == len(data) else [entry.piece for entry in entries]
