"""The sentences and formulas of the residual view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.models.tokens import visible
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
        "Every token has a residual stream: a vector of {width} numbers that goes through all {layers} blocks. "
        "Attention and MLP only <b>add</b> to it; nothing is overwritten.\n\n"
        "<i>{norm}</i> rescales the input of each of them; the residual stream itself does not change.\n\n{here}"
    )
    if first_writes(trace.anatomy) != _("attention output"):
        text = _(
            "Every token has a residual stream: a vector of {width} numbers that goes through all {layers} blocks. "
            "The token mixer and the MLP only <b>add</b> to it.\n\n{own}{here}"
        )
    elif block.norm_place == "post":
        text = _(
            "Every token has a residual stream: a vector of {width} numbers that goes through all {layers} blocks. "
            "Attention and MLP <b>add</b> to it.\n\n"
            "After each addition, <i>{norm}</i> rescales the residual stream itself.\n\n{here}"
        )
    here = ""
    if found is not None:
        size = found.size[:, position]
        words = _("The norm of the residual stream of “{token}” goes from {first} to {last}.")
        token = visible(trace.tokens.strings[position])
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
        said = _("Not opened in block {n}: {parts}. What it adds is recorded.")
    return said.format(n=layer + 1, parts=", ".join(part_name(block, part) for part in closed)) + "\n\n"


def writes_words(trace: Trace) -> str:
    """What the bars of writes are, as a template."""
    if first_writes(trace.anatomy) == _("attention output"):
        said = _(
            "norm of the output for “{token}”: <v>attention</v> upwards, <m>MLP</m> downwards; the axis is scaled as "
            "√norm"
        )
    else:
        said = _(
            "norm of the output for “{token}”: <v>token mixer</v> (attention, or another layer instead) upwards, "
            "<m>MLP</m> downwards; the axis is scaled as √norm"
        )
    closed = any(closed_parts(block) for block in trace.anatomy.blocks)
    if trace.anatomy.cross_there:
        said += _("; the cross-attention output is not shown")
    return said + (_("; hatched: not opened") if closed else "")


def cosine_words(trace: Trace) -> str:
    """What the curves of cosines are, as a template."""
    if first_writes(trace.anatomy) == _("attention output"):
        return _(
            "cosine between the output of <v>attention</v> or <m>MLP</m> and the residual stream to which it is "
            "added: 1 same direction, 0 orthogonal, −1 opposite"
        )
    return _(
        "cosine between the output of the <v>token mixer</v> or <m>MLP</m> and the residual stream to which it "
        "is added: 1 same direction, 0 orthogonal, −1 opposite"
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
            "pre": _("Normalisation comes before attention and before the MLP."),
            "post": _("Normalisation comes after each addition, on the residual stream itself."),
            "sandwich": _("Normalisation comes before attention and MLP, and again before their outputs are added."),
            "branch": _("Normalisation is applied to the outputs of attention and MLP, before they are added."),
        }[block.norm_place]
        if "block" not in block.opaque
        else ""
    )
    parallel = (
        _(" Attention and MLP of a block have the same input, and their outputs are added together.")
        if block.parallel
        else ""
    )
    if not (block.has_mixer and block.mlp_there):
        place = parallel = ""  # there is one part, and one norm
    check = trace.check(layer) if trace.model is not None else None
    exact = ""
    if check is not None:
        exact = (
            _(" Replaying block {layer} gives exactly the recorded residual stream.")
            if check.exact
            else _(" Replaying block {layer} differs from the recorded residual stream by {difference}.")
        )
        exact = exact.format(layer=layer + 1, difference=number(check.difference))
        if check.note and (not check.exact or trace.recording.pieces or trace.stale):
            exact += f" {check.note}"
    lens = _(
        " The logit lens applies the model's own final normalisation and unembedding to the residual stream "
        "before each block; its last row is the model's output."
    )
    return rich("{all}", all=place + parallel + exact + lens)


def share_words(found: Lens) -> list[Paragraph]:
    """How likely the final choice is, and from which block on it is the likeliest token."""
    last = len(found.rank) - 1
    first = next((i for i in range(last + 1) if (found.rank[i:] == 1).all()), last)
    words = _(
        "probability of “{token}”, the model's most likely token ({share}); in the logit lens it ranks first "
        "from block {first} to the end"
    )
    if first == last:
        words = _(
            "probability of “{token}”, the model's most likely token ({share}); in the logit lens it ranks first "
            "only at the end"
        )
    token, share = visible(found.choice), percent(float(found.share[-1]))
    return rich(words, token=token, share=share, first=first + 1)
