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
            "<token>{token}</token> is not text but part of an image or a sound. Another part of the model, "
            "{module}, has read it and put {width} numbers in the place of an embedding. That part is <b>not "
            "opened</b>; the numbers are the model's own.\n\n{position}"
        )
        token = trace.tokens.strings[position]
        return rich(
            said, token=token, module=maker, width=count(facts.embed_width), position=position_words(facts.positions)
        )
    text = _(
        "The model does not read letters. A tokenizer splits your text into {n} tokens of a vocabulary of "
        "{vocab}.\n\n"
        "Token <token>{token}</token> has the id {id}: row {id} of the embedding matrix, {width} numbers learned "
        "in training. Tokens with similar uses tend to have similar rows.\n\n{position}"
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
        "In {blocks} there is no attention: the tokens are read in order, so no position embedding is needed."
    ).format(blocks=blocks_named(others))


def closed_words(facts: Anatomy) -> list[Paragraph]:
    """That the way from an id to the lane is not opened, and why; empty where it is."""
    reason = facts.opaque.get("embed")
    if not reason:
        return []
    said = _(
        "How this model computes the first residual stream from the embedding is <b>not opened</b>; the vector "
        "itself is the model's own.\n\n<muted>Reason: {reason}</muted>"
    )
    return rich(said, reason=ended(reason))


def position_words(positions: str) -> str:
    """How the model knows where a token stands: ``"learned"``, ``"rotary"``, ``"alibi"``, ``"relative"`` or ``"none"``."""
    return {
        "learned": _("The position has an embedding too: a row of the position embedding matrix. Both are added."),
        "rotary": _(
            "The position is not added here: inside each block, rotary embedding rotates pairs of numbers of every "
            "query and key."
        ),
        "alibi": _(
            "The position is not added here: inside each block, ALiBi lowers the scores of keys that are further back."
        ),
        "relative": _(
            "The position is not added here: inside each block, a learned number for each distance is added to the "
            "scores."
        ),
        "none": _("This model uses no position embedding."),
    }[positions]


def notes(trace: Trace, layer: int) -> list[Paragraph]:
    """For engineers: the unembedding, the scale of the rows, the tokenizer's exactness, and the rotary pairs of a block."""
    facts = trace.anatomy
    tied = (
        _("The unembedding at the end uses the same matrix.")
        if facts.tied
        else _("The unembedding at the end has a matrix of its own.")
    )
    scale = (
        _(" Embeddings are multiplied by {factor}.").format(factor=number(facts.embed_scale))
        if facts.embed_scale != 1
        else ""
    )
    exact = (
        ""
        if trace.tokens.exact
        else _(" The tokenizer changes this text before splitting it, so the tokens do not join to it exactly.")
    )
    rotary = facts.blocks[layer].rotary
    turned = ""
    if rotary is not None:
        layout = {
            "half": _("i with i + {half}"),
            "interleaved": _("2i with 2i + 1"),
            "split": _("2i with 2i + 1, written to i and i + {half}"),
        }[rotary.layout]
        turned = _(" Rotary embedding: {dims} of {all} numbers of a head are rotated, in pairs {layout}.").format(
            dims=rotary.dims,
            all=facts.blocks[layer].head_dim,
            layout=layout.format(half=rotary.dims // 2),
        )
    return rich("{all}", all=tied + scale + turned + exact)
