"""The tables under the pictures of the residual view: what a picture shows, in rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.toolkit.format import percent
from txpanel.toolkit.picture import Table

if TYPE_CHECKING:
    from txpanel.tracing import Trace
    from txpanel.views.residual.data import Lens, Stream


def writes(found: Stream | None, at: int, first: str = "") -> Table:
    """What each block writes for the token at `at`, and in which direction; `first`: what the first write is called, if not attention's."""
    heads = [
        _("block"),
        _("norm before"),
        first or _("attention output"),
        _("cosine"),
        _("MLP output"),
        _("cosine (MLP)"),
    ]
    if found is None:
        return Table(heads, [])
    columns = [
        found.size[:-1, at],
        found.attn[:, at],
        found.attn_cosine[:, at],
        found.mlp[:, at],
        found.mlp_cosine[:, at],
    ]
    blocks = range(1, len(found.attn) + 1)
    return Table(heads, zip(blocks, *(c.tolist() for c in columns), strict=True), _("What each block adds"))


def sizes(found: Stream | None, trace: Trace | None) -> Table:
    """Norm of the stream before each block, for every token."""
    if found is None or trace is None:
        return Table([_("block")], [])
    rows = [*(str(i + 1) for i in range(len(found.attn))), _("end")]
    tokens = trace.tokens.strings
    return Table.matrix(found.size, rows, tokens, corner=_("before block"), caption=_("Norm of the residual stream"))


def statistics(found: Stream | None, at: int) -> Table:
    """Mean, variance and scale of each norm of the blocks for the token at `at`."""
    if found is None:
        return Table([_("block")], [])
    heads = [f"{norm}.{kind}" for norm, kinds in found.stats.items() for kind in kinds]
    columns = [kinds[kind][:, at].tolist() for kinds in found.stats.values() for kind in kinds]
    blocks = range(1, len(found.attn) + 1)
    return Table([_("block"), *heads], zip(blocks, *columns, strict=True), _("Statistics of the normalisations"))


def grid(found: Lens | None, trace: Trace | None) -> Table:
    """Likeliest token and its probability after each layer, for each position of the lens."""
    if found is None or trace is None:
        return Table([_("block")], [])
    heads = [f"{i} {trace.tokens.strings[i]}" for i in found.positions]
    pairs = [zip(texts, top, strict=True) for texts, top in zip(found.strings, found.top, strict=True)]
    rows = [[_layer(found, i), *(f"{t} ({percent(float(p))})" for t, p in row)] for i, row in enumerate(pairs)]
    return Table([_("block"), *heads], rows, _("Logit lens"))


def listed(found: Lens | None) -> Table:
    """Rank and probability of the final choice after each layer, and the likeliest tokens."""
    heads = [_("block"), _("rank of the final token"), _("its probability"), _("most likely tokens")]
    if found is None:
        return Table(heads, [])
    tokens = [" · ".join(f"{t} {percent(p)}" for t, p, _logit in row) for row in found.listed]
    layers = range(len(found.rank))
    rows = [(_layer(found, i), int(found.rank[i]), float(found.share[i]), tokens[i]) for i in layers]
    return Table(heads, rows, _("Logit lens of the chosen token"))


def _layer(found: Lens, i: int) -> str:
    return _("output") if i == len(found.rank) - 1 else _("before {n}").format(n=i + 1)
