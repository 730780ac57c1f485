"""The numbers of the embedding view: pieces, rows of the tables, rotations, nearest neighbours. Nothing here draws."""

from __future__ import annotations

import threading
from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from txpanel.models.torch_modes import computing
from txpanel.views.vectors import array

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.tracing import Trace

CHUNK = 8192
"""Rows of the token table that are compared at a time."""


def vector(trace: Trace, name: str, *at: int) -> np.ndarray:
    """One row of a tensor of the trace, float32 ``[n]``."""
    return array(trace.tensor(name)[at])


SIGNS = {"\u200d": "ZWJ", "\ufe0e": "VS15", "\ufe0f": "VS16", "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u00ad": "SHY"}
"""Characters that join or change others and cannot be seen, by the short names that Unicode gives them."""


def visible(text: str) -> str:
    """A text whose unseen characters can be read: ``⟨ZWJ⟩`` for the joiner inside an emoji."""
    return "".join(f"⟨{SIGNS[one]}⟩" if one in SIGNS else one for one in text)


def pieces(trace: Trace) -> list[dict[str, Any]]:
    """The tokens of the text: what to show, the bytes (hexadecimal), the id.

    Of tokens that are only some of the bytes of a character also ``of``: the characters that they make together, which of
    the tokens it is (from 1), and how many there are.
    """
    tokens, strings = trace.tokens, list(trace.tokens.strings)
    for place in tokens.places:  # placeholders of images and sounds: their blanks need no sign
        strings[place.start : place.stop] = [text.replace(" ", "\u00a0") for text in strings[place.start : place.stop]]
    rows = zip(tokens.ids, strings, tokens.pieces, strict=True)
    found: list[dict[str, Any]] = [
        {"at": i, "id": int(t), "text": visible(s), "bytes": p.hex(" ").upper()} for i, (t, s, p) in enumerate(rows)
    ]
    for start, stop in together(tokens.pieces):
        whole = visible(b"".join(tokens.pieces[start:stop]).decode("utf-8", "replace"))
        for i in range(start, stop):
            found[i]["of"] = [whole, i - start + 1, stop - start]
    return found


def together(parts: Sequence[bytes]) -> list[tuple[int, int]]:
    """Runs ``(start, stop)`` of pieces that share the bytes of a character: only all of them together are text."""
    runs, start = [], 0
    decoder = getincrementaldecoder("utf-8")("replace")
    for i, part in enumerate(parts):
        decoder.decode(part)
        if decoder.getstate()[0]:
            continue  # the last character goes on in the next piece
        if i > start:
            runs.append((start, i + 1))
        start = i + 1
    return runs


def table_row(model: LanguageModel, token: int) -> tuple[str, np.ndarray] | None:
    """Name of the token table and its row of a token, float32 ``[embed_width]``; None where the model has no table that can be read."""
    name, table = model.parts.tables.get("embed", ("", None))
    return (name, array(table[token])) if table is not None and 0 <= token < len(table) else None


def made_elsewhere(trace: Trace, position: int) -> str | None:
    """Path of the module that has made the vector of a token, where an image or a sound stands; None: it is the row of a token."""
    operation = trace.operation("embed")
    if operation is None or "embed" in trace.anatomy.opaque:
        return None
    return operation.opaque_at((position, 0))


@dataclass(frozen=True)
class Rotation:
    """Pairs of numbers before and after the rotary embedding, for one head at one position.

    Attributes:
        name: tensor after the rotation; ``name + "_pre_rotary"`` is the one before. head: which row of it.
        before_at, after_at: ``[P, 2]`` indices of the pairs. before, after: float32 ``[P, 2]``.
        angle: float64 ``[P]``, the turn from before to after in radians, (-pi, pi].
    """

    name: str
    head: int
    before_at: np.ndarray
    after_at: np.ndarray
    before: np.ndarray
    after: np.ndarray
    angle: np.ndarray


def pairs(dims: int, layout: str, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Which numbers of a head are turned together: indices ``[dims/2, 2]`` before and after (see `Rotary`)."""
    i = np.arange(dims // 2)
    halves = np.stack([i, i + dims // 2], 1) + offset
    neighbours = np.stack([2 * i, 2 * i + 1], 1) + offset
    return (halves if layout == "half" else neighbours), (neighbours if layout == "interleaved" else halves)


def rotation(trace: Trace, layer: int, head: int, position: int, part: str = "q") -> Rotation | None:
    """The rotary embedding of one head's query (`part` ``"q"``) or key (``"k"``) at a position; None where positions enter in another way."""
    block, name = trace.anatomy.blocks[layer], f"blocks.{layer}.{part}"
    if not block.has_attention or block.rotary is None or f"{name}_pre_rotary" not in trace:
        return None
    row = head if part == "q" else head // block.group
    first, last = pairs(block.rotary.dims, block.rotary.layout, block.rotary.offset)
    before, after = vector(trace, f"{name}_pre_rotary", row, position), vector(trace, name, row, position)
    if max(first.max(), last.max()) >= min(before.size, after.size):
        return None
    b, a = before[first], after[last]
    turn = np.arctan2(a[:, 1], a[:, 0]).astype(np.float64) - np.arctan2(b[:, 1], b[:, 0])
    return Rotation(name, row, first, last, b, a, np.angle(np.exp(1j * turn)))


def slopes(trace: Trace, layer: int) -> np.ndarray | None:
    """ALiBi's slope of each head, float32 ``[H]``: what is subtracted from a score for each step of distance; None for other models."""
    block = trace.anatomy.blocks[layer]
    if not block.alibi or not block.has_attention or len(trace.tokens.ids) < 2:
        return None
    bias = trace.tensor(f"blocks.{layer}.alibi")[:, -1]  # [H, T], the last query's biases
    return array(bias[:, -2] - bias[:, -1])


@dataclass(frozen=True)
class Neighbours:
    """The rows of the token table nearest in direction to one row.

    Attributes:
        token: whose row. ids: int64 ``[k]``, nearest first, without the token itself. cosines: float32 ``[k]``. strings: what to show.
    """

    token: int
    ids: np.ndarray
    cosines: np.ndarray
    strings: list[str]


def has_table(model: LanguageModel | None) -> bool:
    """Whether there is a token table whose rows can be compared."""
    return model is not None and "embed" in model.parts.tables


def neighbours(model: LanguageModel, token: int, k: int = 12, stop: threading.Event | None = None) -> Neighbours | None:
    """Nearest rows by cosine over the whole token table, `CHUNK` rows at a time; None if `stop` was set on the way."""
    table = model.parts.tables["embed"][1]
    with computing():
        row = table[token].float()
        row = row / row.norm().clamp_min(1e-12)
        cosines = []
        for start in range(0, len(table), CHUNK):
            if stop is not None and stop.is_set():
                return None
            part = table[start : start + CHUNK].float()
            cosines.append(part @ row / part.norm(dim=1).clamp_min(1e-12))
        every = torch.cat(cosines)  # [V]
        every[token] = -torch.inf
        best = every.topk(min(k, len(every) - 1))
    ids = best.indices.cpu().numpy()
    return Neighbours(token, ids, best.values.cpu().numpy(), [model.tokens([int(i)]).strings[0] for i in ids])
