"""The vectors that the embedding view draws as strips: how one token's vector comes about, and what enters the first block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.format import number
from txpanel.toolkit.vector_strips import VectorStrip
from txpanel.views.embedding.data import made_elsewhere, table_row, vector
from txpanel.views.vectors import norm_text

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["lanes", "strips"]

LANES = 12
"""Tokens shown at a time."""


def strips(trace: Trace, position: int) -> list[VectorStrip]:
    """How the vector of one position begins: table row, scale, projection, norm, position, sum; each a row of a real tensor."""
    facts, token, at = trace.anatomy, int(trace.tokens.ids[position]), {"token": position}
    out: list[VectorStrip] = []
    embed = vector(trace, "embed", position)
    maker = made_elsewhere(trace, position)
    row = table_row(trace.model, token) if trace.model is not None and maker is None else None
    closed = "embed" in facts.opaque or maker is not None
    changed = row is None or not np.array_equal(row[1], embed)
    if row is not None:
        label = _("embedding (row {id})").format(id=f"{token:,}")
        out.append(
            VectorStrip(
                label,
                row[1],
                row[0],
                {"row": token},
                axis="column",
                group="row" if changed else "sum",
                tail=norm_text(row[1]),
            )
        )
    if changed:
        factor = _("multiplied by {factor}").format(factor=number(facts.embed_scale)) if facts.embed_scale != 1 else ""
        factor = _("computed by the model’s own code, not opened") if closed else factor
        factor = _("computed by {module}, not opened").format(module=maker) if maker else factor
        out.append(
            VectorStrip(
                _("start of the residual stream") if closed else _("embedding"),
                embed,
                "embed",
                at,
                sign="" if not out else "→" if closed else "=",
                note=factor,
                group="sum",
                tail=norm_text(embed),
            )
        )
    for name, sign, label, group in _steps(trace, position):
        if name in trace:
            values = vector(trace, name, position)
            out.append(VectorStrip(label, values, name, at, sign=sign, group=group, tail=norm_text(values)))
    return [*out[:-1], replace(out[-1], strong=True, note=_("input of block 1"))]


def _steps(trace: Trace, position: int) -> list[tuple[str, str, str, str]]:
    """What happens to a token's row: tensor, sign, words, and the group that shares its scale."""
    place = int(trace.tensor("positions")[position])
    row = ("pos_embed", "+", _("position embedding (row {n})").format(n=place), "sum")
    norm = ("embed_norm", "→", _("normalised"), "norm")
    wide = ("embed_proj", "→", _("projected to the residual stream's size"), "proj")
    if trace.anatomy.embed_after:
        return [
            ("embed_scaled", "→", _("scaled; mask tokens count as zero"), "sum"),
            ("token_type_embed", "+", _("token type embedding"), "sum"),
            row,
            ("embed_sum", "=", _("sum"), "sum"),
            norm,
            wide,
            (
                "blocks.0.resid_pre",
                "=",
                _("start of the residual stream"),
                "proj" if "embed_proj" in trace else "norm" if "embed_norm" in trace else "sum",
            ),
        ]
    end = _("sum") if "pos_embed" in trace else _("start of the residual stream")
    return [wide, norm, row, ("blocks.0.resid_pre", "=", end, "norm" if "embed_norm" in trace else "sum")]


def lanes(trace: Trace, position: int) -> list[VectorStrip]:
    """What enters block 0 for every token: the beginnings of the lanes; of a long text those before and around `position`."""
    start = max(0, min(position - LANES // 2, len(trace.tokens.ids) - LANES))
    out = []
    for at in range(start, min(start + LANES, len(trace.tokens.ids))):
        values = vector(trace, "blocks.0.resid_pre", at)
        label = f"{at + 1}  {trace.tokens.strings[at].strip() or '␣'}"
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
                tail=norm_text(values),
            )
        )
    return out
