"""The sentences and formulas of the residual view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.part_words import closed_parts, first_writes, part_name
from txpanel.toolkit.text import Paragraph, rich
from txpanel.views.residual.data import STATISTICS, Lens, Stream, norms

if TYPE_CHECKING:
    from txpanel.models.anatomy import BlockAnatomy
    from txpanel.tracing import Trace

__all__ = ["cosine_words", "formulas", "lead", "notes", "share_words", "writes_words"]


def lead(trace: Trace, layer: int, position: int, found: Stream | None) -> list[Paragraph]:
    """What the residual stream is, and how the one of a token grows; that once `found` is there."""
    facts, block = trace.anatomy, trace.anatomy.blocks[layer]
    text = _(
        "Every token has a lane of {width} numbers that runs through all {layers} blocks. Nothing is replaced on it: attention and MLP only <b>add</b>.\n\n"
        "Before each of them reads, a <i>{norm}</i> brings the lane to a common size; the lane itself stays as it is.\n\n{here}"
    )
    if first_writes(trace.anatomy) != _("attention writes"):
        text = _(
            "Every token has a lane of {width} numbers that runs through all {layers} blocks. "
            "What mixes the tokens and the MLP only <b>add</b> to it.\n\n{own}{here}"
        )
    elif block.norm_place == "post":
        text = _(
            "Every token has a lane of {width} numbers that runs through all {layers} blocks. Attention and MLP <b>add</b> to it.\n\n"
            "After each plus a <i>{norm}</i> brings the lane itself to a common size: what is read next is the normalised lane.\n\n{here}"
        )
    here = ""
    if found is not None:
        size = found.size[:, position]
        words = _("The lane of “{token}” grows from norm {first} to {last}.")
        token = trace.tokens.strings[position].strip() or "␣"
        here = words.format(token=token, first=number(float(size[0])), last=number(float(size[-1])))
    own = own_words(block, layer)
    return rich(
        text.replace("{own}", own), width=count(facts.width), layers=facts.n_layers, norm=block.norm_kind, here=here
    )


def own_words(block: BlockAnatomy, layer: int) -> str:
    """What a block that is partly closed adds, as a template whose parts are filled in already; empty for others."""
    closed = closed_parts(block)
    if not closed:
        return ""
    if closed == ["block"]:
        said = _("Block {n} is run as a whole; what it adds is its output minus its input.")
    else:
        said = _("In block {n} this is not opened: {parts}. What it adds is recorded all the same.")
    return said.format(n=layer + 1, parts=", ".join(part_name(block, part) for part in closed)) + "\n\n"


def writes_words(trace: Trace) -> str:
    """What the bars of writes are, as a template."""
    if first_writes(trace.anatomy) == _("attention writes"):
        said = _("for “{token}”: <v>attention</v> up, <m>MLP</m> down; height = √norm, the axis says the norm")
    else:
        said = _(
            "for “{token}”: <v>what mixes the tokens</v> (attention, or what a block has in its place) up, <m>MLP</m> down; "
            "height = √norm, the axis says the norm"
        )
    closed = any(closed_parts(block) for block in trace.anatomy.blocks)
    if trace.anatomy.cross_there:
        said += _("; what cross-attention writes is not among the bars")
    return said + (_("; hatched: not opened") if closed else "")


def cosine_words(trace: Trace) -> str:
    """What the curves of cosines are, as a template."""
    if first_writes(trace.anatomy) == _("attention writes"):
        return _(
            "cosine of what <v>attention</v> and <m>MLP</m> write with the stream they add it to: 1 strengthens, −1 takes away, 0 is new"
        )
    return _(
        "cosine of what <v>the mixer</v> and the <m>MLP</m> write with the stream they add it to: 1 strengthens, −1 takes away, 0 is new"
    )


def formulas(trace: Trace, layer: int) -> list[str]:
    """LaTeX of the sums of a block, and of its norms and their statistics."""
    p = f"blocks.{layer}."
    made = [f"{p}{norm}{part}" for norm in norms(trace) for part in (*(f".{kind}" for kind in STATISTICS), "")]
    found = [
        trace.operation(name) for name in (p + "resid_mid", p + "resid_post", p + "block_out", *made) if name in trace
    ]
    return [operation.formula for operation in found if operation is not None]


def notes(trace: Trace, layer: int) -> list[Paragraph]:
    """For engineers: where the norms of a block stand, whether replaying it gives back the recording, and what the lens does."""
    block = trace.anatomy.blocks[layer]
    place = (
        {
            "pre": _("Norms stand before attention and before the MLP."),
            "post": _("Norms stand after each plus, on the lane itself."),
            "sandwich": _("Norms stand before attention and MLP, and again before what they write is added."),
            "branch": _("Norms stand on what attention and MLP write, before it is added."),
        }[block.norm_place]
        if "block" not in block.opaque
        else ""
    )
    parallel = _(" Attention and MLP of a block read the same vector and are added at once.") if block.parallel else ""
    if not (block.has_mixer and block.mlp_there):
        place = parallel = ""  # there is one part, and one norm
    check = trace.check(layer) if trace.model is not None else None
    exact = ""
    if check is not None:
        exact = (
            _(" Replaying block {layer} gives back the recorded stream exactly.")
            if check.exact
            else _(" Replaying block {layer} differs from the recorded stream by {difference}.")
        )
        exact = exact.format(layer=layer + 1, difference=number(check.difference))
        if check.note and (not check.exact or trace.recording.pieces or trace.stale):
            exact += f" {check.note}"
    lens = _(
        " The lens sends the lane, as it is before each block, through the model's own final norm and unembedding; its last row is the model's answer."
    )
    return rich("{all}", all=place + parallel + exact + lens)


def share_words(found: Lens) -> list[Paragraph]:
    """How likely the final choice is, and from which block on it is the likeliest token."""
    last = len(found.rank) - 1
    first = next((i for i in range(last + 1) if (found.rank[i:] == 1).all()), last)
    words = _("probability of “{token}”, the final choice ({share}); it leads from before block {first} on")
    if first == last:
        words = _("probability of “{token}”, the final choice ({share}); it leads only at the very end")
    token, share = found.choice.strip() or "␣", percent(float(found.share[-1]))
    return rich(words, token=token, share=share, first=first + 1)
