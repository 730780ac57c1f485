"""The sentences of the embedding view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _, plural
from txpanel.toolkit.format import count, number
from txpanel.toolkit.part_words import blocks_named, ended
from txpanel.toolkit.text import Paragraph, rich
from txpanel.views.embedding.data import made_elsewhere

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy
    from txpanel.tracing import Trace

__all__ = ["lead", "notes", "position_words"]


def lead(trace: Trace, position: int) -> list[Paragraph]:
    """What a tokenizer and a token table do, and where one token's vector comes from."""
    facts = trace.anatomy
    maker = made_elsewhere(trace, position)
    if maker is not None:
        said = _(
            "Here stands <token>{token}</token>: no piece of text, but a part of an image or a sound. Another part of the model, {module}, has "
            "read it and put {width} numbers where a token’s row would be. That part is <b>not opened</b>; the numbers are real.\n\n{position}"
        )
        token = trace.tokens.strings[position]
        return rich(
            said, token=token, module=maker, width=count(facts.embed_width), position=position_words(facts.positions)
        )
    text = _(
        "The model does not read letters. A tokenizer cuts your text into {n} pieces, each a row of a table with {vocab} rows.\n\n"
        "Token <token>{token}</token> is row {id}: {width} numbers, learned in training. Similar words have similar rows.\n\n{position}"
    )
    return rich(
        text,
        n=plural("{n}", "{n}", len(trace.tokens.ids)).format(n=count(len(trace.tokens.ids))),
        vocab=count(facts.vocab),
        token=trace.tokens.strings[position],
        id=count(int(trace.tokens.ids[position])),
        width=count(facts.embed_width),
        position=position_words(facts.positions) + elsewhere_words(facts),
    ) + closed_words(facts)


def elsewhere_words(facts: Anatomy) -> str:
    """Where the model has blocks without attention: how place and order come in there; empty for others."""
    others = [block.index for block in facts.blocks if block.kind not in ("attention", "mlp", "unknown", "hybrid")]
    if not others or facts.positions == "learned":
        return ""
    return " " + _(
        "In {blocks} there is no attention: tokens are read in order, so place needs no mark of its own."
    ).format(blocks=blocks_named(others))


def closed_words(facts: Anatomy) -> list[Paragraph]:
    """That the way from an id to the lane is not opened, and why; empty where it is."""
    reason = facts.opaque.get("embed")
    if not reason:
        return []
    said = _(
        "How this model makes the first vector of a lane from the row is <b>not opened</b>; the vector itself is real.\n\n<muted>Why: {reason}</muted>"
    )
    return rich(said, reason=ended(reason))


def position_words(positions: str) -> str:
    """How the model knows where a token stands: ``"learned"``, ``"rotary"``, ``"alibi"``, ``"relative"`` or ``"none"``."""
    return {
        "learned": _("Where it stands is a second row, from a table of positions; both are added."),
        "rotary": _(
            "Where it stands is not added here: inside each block, position turns pairs of numbers of every query and key."
        ),
        "alibi": _("Where it stands is not added here: inside each block, keys further back get a penalty."),
        "relative": _(
            "Where it stands is not added here: inside each block, a learned number for each distance is added to the scores."
        ),
        "none": _("This model adds nothing for the position."),
    }[positions]


def notes(trace: Trace, layer: int) -> list[Paragraph]:
    """For engineers: the unembedding, the scale of the rows, the tokenizer's exactness, and the rotary pairs of a block."""
    facts = trace.anatomy
    tied = (
        _("The unembedding at the end is this same table.")
        if facts.tied
        else _("The unembedding at the end is a table of its own.")
    )
    scale = (
        _(" Rows are multiplied by {factor}.").format(factor=number(facts.embed_scale))
        if facts.embed_scale != 1
        else ""
    )
    exact = (
        ""
        if trace.tokens.exact
        else _(" The tokenizer changes this text before cutting it, so the pieces do not join to it exactly.")
    )
    rotary = facts.blocks[layer].rotary
    turned = ""
    if rotary is not None:
        layout = {
            "half": _("i with i + {half}"),
            "interleaved": _("2i with 2i + 1"),
            "split": _("2i with 2i + 1, written to i and i + {half}"),
        }[rotary.layout]
        turned = _(" Rotary: {dims} of {all} numbers of a head are turned, pairs {layout}.").format(
            dims=rotary.dims,
            all=facts.blocks[layer].head_dim,
            layout=layout.format(half=rotary.dims // 2),
        )
    return rich("{all}", all=tied + scale + turned + exact)
