"""Pictures of attention for paper: the pattern of the chosen head, those of all heads, q, k and v, weights beside values, cached keys and values."""

from __future__ import annotations

import numpy as np

from txpanel.lessons.handout.frames import (
    Picture,
    chosen,
    column_heads,
    few_positions,
    heads_height,
    left_out,
    numbered,
    strip,
    width_of_names,
)
from txpanel.lessons.handout.svg import FAINT, GREY, INK, WIDEST, Drawing
from txpanel.lessons.situation import Array, Situation
from txpanel.messages import _
from txpanel.toolkit.format import brief, count, number, percent
from txpanel.toolkit.palette import Scale

__all__ = ["cache", "heads", "pattern", "qkv", "values"]

STRIP = 9.0
"""Pixels of a number in a strip, if there is room."""
MOST_NUMBERS = 480
"""Numbers drawn of a strip: more bars could not be told apart."""
TONES = 12
"""Grey levels of the small pictures of heads: cells of one level are drawn as one shape."""
MOST_HEADS = 32
HIGHEST = 260.0
"""Pixels of a matrix of a dozen tokens: two steps with one fit on a page."""


def pattern(here: Situation) -> Picture:
    """The attention weights of the chosen head, each in percent."""
    shown = few_positions(here)
    weights, allowed = here.pattern[np.ix_(shown, shown)], here.allowed[np.ix_(shown, shown)]
    names = [numbered(here, query) for query in shown]
    left, top = width_of_names(names), 16 + heads_height(here, shown)
    cell = min(34.0, max(22.0, HIGHEST / len(shown)), (WIDEST - left - 45) / len(shown))
    drawing = Drawing(WIDEST, top + len(shown) * cell + 2, _("Attention pattern"))
    axes = _("who looks (query) ↓") + "   " + _("at whom (key) →")
    drawing.text(0, 10, axes, size=9, fill=GREY)
    column_heads(drawing, here, shown, left, top, cell)
    scale = Scale.of("probability")
    for i, query in enumerate(shown):
        y = top + i * cell
        drawing.text(left - 6, y + cell / 2 + 3, names[i], anchor="end", bold=query == here.query)
        for j in range(len(shown)):
            if not allowed[i, j]:
                continue
            weight = float(weights[i, j])
            drawing.rect(left + j * cell, y, cell, cell, scale.hex(weight), FAINT)
            size = 8 if cell < 26 else 10
            x, base = left + (j + 0.5) * cell, y + cell / 2 + size * 0.36
            drawing.text(x, base, brief(100 * weight), size=size, anchor="middle", fill=scale.ink(weight))
    if here.query in shown:
        drawing.frame(left, top + shown.index(here.query) * cell, len(shown) * cell, cell)
    caption = _(
        "Attention weights in percent, {place}. A frame is around the row of query “{token}”; cells left empty are masked."
    )
    return Picture(drawing.markup(), caption.format(place=_place(here), token=chosen(here)) + left_out(here, shown))


def heads(here: Situation) -> Picture:
    """The patterns of all heads of the block, small."""
    shown = few_positions(here)
    n = min(MOST_HEADS, here.block.n_heads)
    columns = min(n, 6 if n <= 12 else 8)
    room = WIDEST / max(columns, 5)
    side, label = room - 14, 16
    rows = -(-n // columns)
    drawing = Drawing(WIDEST, rows * (side + label + 12), _("All heads of the block"))
    levels = Scale.of("probability")
    for head in range(n):
        x, y = (head % columns) * room + 4, (head // columns) * (side + label + 12) + label
        weights = here.trace.head_map(here.layer, head)[np.ix_(shown, shown)]
        drawing.text(x, y - 5, _("head {n}").format(n=head + 1), bold=head == here.head)
        _small(drawing, weights, x, y, side / len(shown), levels)
        drawing.rect(x, y, side, side, "none", FAINT)
        if head == here.head:
            drawing.frame(x, y, side, side)
    said = _(
        "Attention patterns of the heads of block {block}: rows are queries, columns are keys, darker is more. The frame is around head {head}."
    )
    more = (
        "" if n == here.block.n_heads else " " + _("It shows {n} of {all} heads.").format(n=n, all=here.block.n_heads)
    )
    return Picture(
        drawing.markup(), said.format(block=here.layer + 1, head=here.head + 1) + more + left_out(here, shown)
    )


def _small(drawing: Drawing, weights: Array, x: float, y: float, cell: float, scale: Scale) -> None:
    tones = np.rint(np.sqrt(np.clip(weights, 0, 1)) * TONES).astype(int)
    for tone in range(1, TONES + 1):
        cells = np.argwhere(tones == tone).tolist()
        d = "".join(f"M{x + j * cell:.1f} {y + i * cell:.1f}h{cell:.2f}v{cell:.2f}h{-cell:.2f}z" for i, j in cells)
        if d:
            drawing.path(d, scale.hex((tone / TONES) ** 2))


def qkv(here: Situation) -> Picture:
    """Query, key and value of the chosen token in the chosen head, number by number."""
    group = here.head // max(1, here.block.group)
    rows = {
        _("query q"): here.tensor("blocks.{l}.q")[here.head, here.query],
        _("key k"): here.tensor("blocks.{l}.k")[group, here.query],
        _("value v"): here.tensor("blocks.{l}.v")[group, here.query],
    }
    svg = vectors(rows, _("Query, key and value"))
    said = _(
        "Query, key and value of “{token}”, {place}. Each bar is one number: up is positive, down is negative. Every row has a scale of its own."
    )
    return Picture(svg.markup(), said.format(token=chosen(here), place=_place(here)) + cut(rows))


def vectors(rows: dict[str, Array], label: str) -> Drawing:
    """Vectors below each other, each as a strip with its norm."""
    high, left = 38, width_of_names(rows)
    drawing = Drawing(WIDEST, high * len(rows), label)
    for i, (name, row) in enumerate(rows.items()):
        middle, room = i * high + high / 2, min(MOST_NUMBERS, STRIP * len(row))
        drawing.text(left - 8, middle + 3, name, anchor="end")
        strip(drawing, row[:MOST_NUMBERS], left, middle, room, high - 8)
        norm = float(np.linalg.norm(row.astype(np.float64)))
        drawing.text(left + room + 10, middle + 3, f"‖x‖ = {number(norm, 3)}", size=9)
    return drawing


def cut(rows: dict[str, Array]) -> str:
    """A sentence that says how much of long vectors is drawn; empty where all of it is."""
    n = max(len(row) for row in rows.values())
    said = _("It shows the first {n} of {all} numbers.")
    return "" if n <= MOST_NUMBERS else " " + said.format(n=MOST_NUMBERS, all=count(n))


def values(here: Situation) -> Picture:
    """For the chosen query the weight of each key beside the norm of its value: their product is what a key adds to z."""
    shown = [at for at in few_positions(here) if here.allowed[here.query, at]]
    norms = np.linalg.norm(here.tensor("blocks.{l}.v")[here.head // max(1, here.block.group)], axis=1)
    names = [numbered(here, at) for at in shown]
    left = width_of_names(names)
    row, half = 16, (WIDEST - left) / 2
    room, most = half - 60, float(norms[shown].max()) or 1.0
    drawing = Drawing(WIDEST, 20 + row * len(shown), _("Weights and values"))
    for x, head in ((left, _("attention weight")), (left + half, _("norm of the value"))):
        drawing.text(x, 11, head, size=9, bold=True)
    for i, at in enumerate(shown):
        y, weight, norm = 18 + i * row, float(here.pattern[here.query, at]), float(norms[at])
        drawing.text(left - 8, y + 11, names[i], anchor="end")
        for x, wide, fill, said in (
            (left, weight * room, GREY, percent(weight)),
            (left + half, norm / most * room, "#ffffff", number(norm, 3)),
        ):
            drawing.rect(x, y + 2, max(0.5, wide), row - 5, fill, INK)
            drawing.text(x + wide + 5, y + 11, said, size=9)
    caption = _("What goes into z of “{token}”, {place}: each value is multiplied by its weight.")
    more = left_out(here, few_positions(here))
    return Picture(drawing.markup(), caption.format(token=chosen(here), place=_place(here)) + more)


def cache(here: Situation) -> Picture:
    """Key and value of each token in the chosen head: what a KV cache keeps."""
    shown = few_positions(here, most=12)
    group = here.head // max(1, here.block.group)
    keys, vals = here.tensor("blocks.{l}.k")[group], here.tensor("blocks.{l}.v")[group]
    names = [numbered(here, at) for at in shown]
    left = width_of_names(names)
    row, half = 24, (WIDEST - left) / 2
    drawing = Drawing(WIDEST, 20 + row * len(shown), _("Keys and values"))
    for x, name, found in ((left, _("key k"), keys), (left + half, _("value v"), vals)):
        drawing.text(x, 11, name, size=9, bold=True)
        for i, at in enumerate(shown):
            strip(drawing, found[at][: int(half)], x, 18 + i * row + row / 2, half - 20, row - 4)
    for i, name in enumerate(names):
        drawing.text(left - 8, 18 + i * row + row / 2 + 3, name, anchor="end")
    said = _("Keys and values of the tokens, {place}: up is positive, down is negative.")
    return Picture(drawing.markup(), said.format(place=_place(here)) + left_out(here, shown))


def _place(here: Situation) -> str:
    return _("block {b}, head {h}").format(b=here.layer + 1, h=here.head + 1)
