"""What the embedding view shows, as arrays: pieces, rows of the tables, rotations, nearest neighbours. Nothing here draws."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from txpanel.messages import _
from txpanel.toolkit.format import number
from txpanel.toolkit.vector_strips import VectorStrip

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.tracing import Trace

LANES = 12
"""Lanes shown at a time."""

CHUNK = 8192
"""Rows of the token table that are compared at a time."""


def vector(trace: Trace, name: str, *at: int) -> np.ndarray:
    """One row of a tensor of the trace, float32 ``[n]``."""
    return np.asarray(trace.tensor(name)[at].detach().cpu().float().numpy())


def norm(values: np.ndarray) -> str:
    """A vector's length, as text."""
    return _("norm {value}").format(value=number(float(np.linalg.norm(values.astype(np.float64)))))


def pieces(trace: Trace) -> list[dict[str, Any]]:
    """The tokens of the text: what to show, the bytes (hexadecimal), the id."""
    tokens = trace.tokens
    rows = zip(tokens.ids, tokens.strings, tokens.pieces, strict=True)
    return [{"at": i, "id": int(t), "text": s, "bytes": p.hex(" ").upper()} for i, (t, s, p) in enumerate(rows)]


def table_row(model: LanguageModel, token: int) -> tuple[str, np.ndarray]:
    """Name of the token table and its row of a token, float32 ``[embed_width]``."""
    name, table = model.parts.tables["embed"]
    return name, np.asarray(table[token].detach().cpu().float().numpy())


def strips(trace: Trace, position: int) -> list[VectorStrip]:
    """How the vector of one position begins: table row, scale, projection, norm, position, sum; each a row of a real tensor."""
    facts, token, at = trace.anatomy, int(trace.tokens.ids[position]), {"token": position}
    out: list[VectorStrip] = []
    embed = vector(trace, "embed", position)
    row = table_row(trace.model, token) if trace.model is not None else None
    changed = row is None or not np.array_equal(row[1], embed)
    if row is not None:
        label = _("row {id} of the token table").format(id=f"{token:,}")
        out.append(
            VectorStrip(
                label,
                row[1],
                row[0],
                {"row": token},
                axis="column",
                group="row" if changed else "sum",
                tail=norm(row[1]),
            )
        )
    if changed:
        factor = (
            _("every number times {factor}").format(factor=number(facts.embed_scale)) if facts.embed_scale != 1 else ""
        )
        out.append(
            VectorStrip(
                _("token vector"),
                embed,
                "embed",
                at,
                sign="=" if out else "",
                note=factor,
                group="sum",
                tail=norm(embed),
            )
        )
    steps = (
        ("embed_proj", "→", _("projected to the model's width"), "proj"), ("embed_norm", "→", _("normalised"), "norm"),
        ("pos_embed", "+", _("row of position {n}").format(n=position), "sum"),
        ("blocks.0.resid_pre", "=", _("their sum") if "pos_embed" in trace else _("start of the lane"), "norm" if "embed_norm" in trace else "sum"),
    )  # fmt: skip
    for name, sign, label, group in steps:
        if name in trace:
            values = vector(trace, name, position)
            out.append(VectorStrip(label, values, name, at, sign=sign, group=group, tail=norm(values)))
    return [*out[:-1], replace(out[-1], strong=True, note=_("enters the first block"))]


def lanes(trace: Trace, position: int) -> list[VectorStrip]:
    """What enters block 0 for every token: the beginnings of the lanes; of a long text those before and around `position`."""
    start = max(0, min(position - LANES // 2, len(trace.tokens.ids) - LANES))
    out = []
    for at in range(start, min(start + LANES, len(trace.tokens.ids))):
        values = vector(trace, "blocks.0.resid_pre", at)
        label = f"{at}  {trace.tokens.strings[at].strip() or '␣'}"
        hue = "var(--tx-focus)" if at == position else ""
        out.append(
            VectorStrip(
                label,
                values,
                "blocks.0.resid_pre",
                {"token": at},
                group="lanes",
                strong=at == position,
                hue=hue,
                tail=norm(values),
            )
        )
    return out


@dataclass(frozen=True)
class Rotation:
    """Pairs of numbers before and after the rotary embedding of one head at one position.

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
    """The rotary embedding at work in one block; None where positions enter in another way."""
    block, name = trace.anatomy.blocks[layer], f"blocks.{layer}.{part}"
    if block.rotary is None or f"{name}_pre_rotary" not in trace:
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
    """ALiBi: what one more step of distance takes off the scores of each head, float32 ``[H]``; None for other models."""
    if not trace.anatomy.blocks[layer].alibi or len(trace.tokens.ids) < 2:
        return None
    bias = trace.tensor(f"blocks.{layer}.alibi")[:, -1]  # [H, T], the last query's biases
    return np.asarray((bias[:, -2] - bias[:, -1]).detach().cpu().float().numpy())


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


def neighbours(model: LanguageModel, token: int, k: int = 12, stop: threading.Event | None = None) -> Neighbours | None:
    """Nearest rows by cosine over the whole token table, `CHUNK` rows at a time; None if `stop` was set on the way."""
    table = model.parts.tables["embed"][1]
    with torch.inference_mode():
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
