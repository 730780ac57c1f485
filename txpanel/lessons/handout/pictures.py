"""The pictures of a handout, each drawn from the numbers of the run at the place that a step speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from txpanel.decoding.settings import OFF
from txpanel.errors import TxpanelError
from txpanel.lessons.handout import of_attention
from txpanel.lessons.handout.frames import (
    ROW,
    TWO_ROWS,
    Picture,
    bars,
    chosen,
    column_heads,
    few_positions,
    heads_height,
    left_out,
    width_of_names,
)
from txpanel.lessons.handout.svg import FAINT, GREY, INK, WIDEST, Drawing, fitted, text_width
from txpanel.lessons.placing import setting_named
from txpanel.lessons.situation import Array, Situation
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.palette import Scale

__all__ = ["PICTURES", "Picture", "picture"]

MOST_ROWS = 32
"""Blocks of a picture that has a row for each."""
MOST_COLUMNS = 16
"""Tokens of a picture whose cells have numbers of five digits."""
FIRST = 10
"""Next tokens, neurons."""


def picture(name: str, here: Situation) -> Picture | None:
    """A picture by its name; None where this run does not have what it shows."""
    try:
        return PICTURES[name](here)
    except (TxpanelError, IndexError):
        return None


def tokens(here: Situation) -> Picture:
    """The tokens of the text with their ids, one after the other."""
    shown = few_positions(here, most=120)
    x = y = 0.0
    boxes: list[tuple[float, float, float, int, str]] = []
    for at in shown:
        name = fitted(visible(here.trace.tokens.strings[at]), 24)
        wide = max(34.0, 10 + text_width(name, 12))
        if x + wide > WIDEST:
            x, y = 0.0, y + 46
        boxes.append((x, y, wide, at, name))
        x += wide + 5
    drawing = Drawing(WIDEST, y + 44, _("Tokens"))
    for x, y, wide, at, name in boxes:
        drawing.rect(x + 0.5, y + 12, wide - 1, 18, "#ffffff", INK)
        drawing.text(x + wide / 2, y + 9, count(at + 1), size=8, anchor="middle", fill=GREY)
        drawing.text(x + wide / 2, y + 25, name, size=11, anchor="middle")
        drawing.text(x + wide / 2, y + 40, count(int(here.ids[at])), size=8, anchor="middle", fill=GREY)
    said = _("The tokens of the text: above each its position, below it its token id.")
    return Picture(drawing.markup(), said + left_out(here, shown))


def embedding(here: Situation) -> Picture:
    """The row of the embedding matrix of the chosen token, its position where that is learned, and the residual stream that begins with them."""
    names = {"embed": _("embedding"), "pos_embed": _("position"), "blocks.0.resid_pre": _("before block 1")}
    rows = {label: here.tensor(name)[here.query] for name, label in names.items() if name in here.trace}
    if len(rows) == 2 and np.array_equal(*rows.values()):
        rows.popitem()  # nothing was added: the residual stream begins with the embedding itself
    drawing = of_attention.vectors(rows, _("Embedding"))
    said = _(
        "The vector of “{token}”, number by number: up is positive, down is negative. Every row has a scale of its own."
    )
    return Picture(drawing.markup(), said.format(token=chosen(here)) + of_attention.cut(rows))


def norms(here: Situation) -> Picture:
    """The norm of the residual stream of each token, before each block and after the last one [block, token]."""
    shown, layers = few_positions(here, most=MOST_COLUMNS), here.anatomy.n_layers
    every = sorted({round(i) for i in np.linspace(0, layers, min(layers + 1, MOST_ROWS))})
    table = np.stack([_stream(here, layer)[shown] for layer in every])
    names = [
        _("before block {n}").format(n=layer + 1) if layer < layers else _("after the last block") for layer in every
    ]
    left, top, row = width_of_names(names, 9), heads_height(here, shown), 20 if len(every) < 14 else 13
    cell = min(48.0, (WIDEST - left - 45) / len(shown))
    drawing = Drawing(WIDEST, top + len(every) * row + 2, _("Norms of the residual stream"))
    column_heads(drawing, here, shown, left, top, cell)
    logs = np.log(np.maximum(table, 1e-9))
    scale = Scale("magnitude", float(logs.min()), float(logs.max()))
    for i, layer in enumerate(every):
        y = top + i * row
        drawing.text(left - 6, y + row / 2 + 3, names[i], size=9, anchor="end", bold=layer == here.layer)
        for j, value in enumerate(table[i].tolist()):
            drawing.rect(left + j * cell, y, cell, row, scale.hex(float(logs[i, j])), FAINT)
            x, ink = left + (j + 0.5) * cell, scale.ink(float(logs[i, j]))
            drawing.text(x, y + row / 2 + 3.2, _short(value), size=9, anchor="middle", fill=ink)
    if here.query in shown:
        drawing.frame(left + shown.index(here.query) * cell, top, cell, len(every) * row)
    said = _(
        "Norm ‖x‖ of the residual stream of each token; darker is larger, in even steps of its logarithm. The frame is around “{token}”."
    )
    more = (
        ""
        if len(every) == layers + 1
        else " " + _("It shows {n} of {all} blocks.").format(n=len(every) - 1, all=layers)
    )
    return Picture(drawing.markup(), said.format(token=chosen(here)) + more + left_out(here, shown))


def added(here: Situation) -> Picture:
    """What attention and MLP of the block add to the residual stream of the chosen token: the larger a circle, the longer the vector."""
    parts = {"attn_out": _("attention"), "mlp_out": _("MLP")}
    found = {label: _norm(here, name) for name, label in parts.items() if f"blocks.{here.layer}.{name}" in here.trace}
    most = max(found.values()) or 1.0
    drawing = Drawing(WIDEST, 112, _("What the block adds"))
    name = fitted(visible(here.trace.tokens.strings[here.query]), 15)
    left = width_of_names([name])
    drawing.line(left, 50, left + 440, 50, INK, 1.5)
    drawing.text(left - 8, 54, name, anchor="end")
    for i, (label, norm) in enumerate(found.items()):
        x, radius = left + 110 + i * 210, max(3.0, 40 * norm / most)
        drawing.add("circle", cx=x, cy=50, r=radius, fill="#ffffff", stroke=INK, stroke_width=1.5)
        drawing.text(x, 54, "+", size=13, anchor="middle", bold=True)
        drawing.text(x, 108, label, anchor="middle")
    said = _(
        "What the parts of block {block} add to the residual stream of “{token}”: the larger the circle, the longer the vector that is added."
    )
    return Picture(drawing.markup(), said.format(block=here.layer + 1, token=chosen(here)))


def neurons(here: Situation) -> Picture:
    """The largest neurons of the MLP at the chosen token; of a mixture the experts that it is sent to."""
    token = chosen(here)
    if here.block.experts is not None:
        experts = here.tensor("blocks.{l}.expert_index")[here.query].astype(int).tolist()
        shares = here.tensor("blocks.{l}.expert_weight")[here.query].tolist()
        rows = [
            (_("expert {n}").format(n=one), float(share), number(share, 3))
            for one, share in zip(experts, shares, strict=True)
        ]
        said = _("The experts of block {block} that “{token}” is sent to, with their weights.")
        return _rows(rows, _("Experts"), said.format(block=here.layer + 1, token=token))
    values = here.tensor("blocks.{l}.mlp_post")[here.query]
    largest = np.argsort(-values, kind="stable")[:FIRST].tolist()
    rows = [(_("neuron {n}").format(n=one), float(values[one]), number(float(values[one]), 3)) for one in largest]
    said = _("The largest of the {n} neurons of block {block} at “{token}”, after the activation function.")
    return _rows(rows, _("Neurons"), said.format(n=count(len(values)), block=here.layer + 1, token=token))


def _rows(rows: Sequence[tuple[str, float, str]], label: str, caption: str) -> Picture:
    most = max((value for _name, value, _said in rows), default=1.0)
    drawing = Drawing(WIDEST, ROW * len(rows) + 4, label)
    lengths = [(name, [(value / (most if most > 0 else 1.0), said)]) for name, value, said in rows]
    bars(drawing, lengths, width_of_names(name for name, _length in lengths), 0, 400)
    return Picture(drawing.markup(), caption)


def next_tokens(here: Situation) -> Picture:
    """The most likely next tokens: the model's own probabilities, and those with the settings where they change anything."""
    first = here.ranked[:FIRST].tolist()
    own = here.probabilities
    drawn = here.sample.probabilities if here.sample is not None else own
    two = not np.allclose(drawn[first], own[first], rtol=1e-3, atol=1e-9)
    most = float(max(own[first].max(), drawn[first].max()))
    rows: list[tuple[str, list[tuple[float, str]]]] = []
    for rank, token in enumerate(first, 1):
        name = f"{rank}  {fitted(visible(here.spelling(token)), 15)}"
        parts = [(own[token], percent(float(own[token])))] + [(drawn[token], percent(float(drawn[token])))] * two
        rows.append((name, [(float(share) / most, said) for share, said in parts]))
    left, top = width_of_names(name for name, _lengths in rows), 22 if two else 2
    drawing = Drawing(WIDEST, top + (TWO_ROWS if two else ROW) * len(rows) + 2, _("Next token"))
    if two:
        drawing.rect(left, 4, 12, 9, "#ffffff", INK)
        drawing.text(left + 18, 12, _("the model"), size=9)
        drawing.rect(left + 140, 4, 12, 9, GREY, INK)
        drawing.text(left + 158, 12, _("with your settings"), size=9, bold=True)
    bars(drawing, rows, left, top, 400)
    said = _("Probabilities of the next token after “{token}”.").format(
        token=visible(here.trace.tokens.strings[here.trace.answer])
    )
    changed = [
        setting_named(name, value) for name, value in here.settings.items() if value != OFF[name] and name != "seed"
    ]
    return Picture(
        drawing.markup(), said + (" " + _("Settings: {all}.").format(all=", ".join(changed)) if two and changed else "")
    )


def draw(here: Situation) -> Picture | None:
    """The line from 0 to 1 on which every token has a part as wide as its probability, and where the random number fell."""
    if here.sample is None:
        return None
    shares = here.sample.probabilities[here.sample.order]
    ends = np.minimum(1.0, np.cumsum(shares))
    left, room = 10.0, WIDEST - 20.0
    drawing = Drawing(WIDEST, 92, _("The draw"))
    drawing.rect(left, 34, room, 30, "#ffffff", INK)
    for i, (token, end, share) in enumerate(
        zip(here.sample.order.tolist(), ends.tolist(), shares.tolist(), strict=True)
    ):
        begin, wide = left + (end - share) * room, share * room
        if wide < 2 or i >= 60:
            continue
        drawing.rect(begin, 34, wide, 30, "#e2e2e2" if i % 2 else "#ffffff", INK)
        name = visible(here.spelling(token))
        if text_width(name) <= wide - 2:
            drawing.text(begin + wide / 2, 53, name, anchor="middle")
    x = left + float(here.sample.draw.uniform) * room
    drawing.line(x, 24, x, 72, INK, 2)
    said = f"u = {number(float(here.sample.draw.uniform), 4)} → {visible(here.spelling(int(here.sample.token)))}"
    drawing.text(x, 17, said, bold=True, anchor="start" if x < WIDEST / 2 else "end")
    drawing.text(left, 82, "0", size=9)
    drawing.text(left + room, 82, "1", size=9, anchor="end")
    return Picture(
        drawing.markup(),
        _(
            "The tokens side by side, each as wide as its probability with the settings in use, and where the random number falls."
        ),
    )


def _stream(here: Situation, layer: int) -> Array:
    last = here.anatomy.n_layers
    name = f"blocks.{layer}.resid_pre" if layer < last else f"blocks.{last - 1}.resid_post"
    return np.asarray(np.linalg.norm(here.tensor(name).astype(np.float64), axis=1))


def _norm(here: Situation, name: str) -> float:
    return float(np.linalg.norm(here.tensor(f"blocks.{{l}}.{name}")[here.query].astype(np.float64)))


def _short(value: float) -> str:
    """A norm in at most five signs."""
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}" if value < 99_999 else number(value, 2)


PICTURES: dict[str, Callable[[Situation], Picture | None]] = {
    "tokens": tokens,
    "embedding": embedding,
    "norms": norms,
    "added": added,
    "qkv": of_attention.qkv,
    "pattern": of_attention.pattern,
    "values": of_attention.values,
    "heads": of_attention.heads,
    "cache": of_attention.cache,
    "neurons": neurons,
    "next": next_tokens,
    "draw": draw,
}
"""By the names of `txpanel.lessons.handout.belongs`."""
