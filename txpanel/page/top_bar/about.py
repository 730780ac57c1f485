"""“About this model”: what runs, where it came from, and how much of it is open, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txpanel.messages import _, plural
from txpanel.toolkit.format import count, number
from txpanel.toolkit.part_words import blocks_named, ended, kind_name, module_of, state_of

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy
    from txpanel.models.openness import Part

__all__ = ["about", "badge", "partly_open"]


def partly_open(anatomy: Anatomy) -> list[int]:
    """The blocks of which a part, or all, is not opened."""
    return [block.index for block in anatomy.blocks if block.opaque]


def badge(anatomy: Anatomy) -> str:
    """What the bar says of a model that is not opened as a whole: ``3 of 24 blocks not fully opened``; empty where everything is open."""
    blocks, n = partly_open(anatomy), anatomy.n_layers
    if blocks:
        words = plural("{some} of {n} block not fully opened", "{some} of {n} blocks not fully opened", n)
        return words.format(some=len(blocks), n=n)
    return _("not fully opened") if anatomy.opaque else ""


def about(anatomy: Anatomy, parts: Sequence[Part], more: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """What the sheet shows, as plain data.

    Args:
        parts: `LanguageModel.report()`. more: further facts, as pairs of a label and a text.

    Returns:
        ``badge``; ``lead`` (a sentence); ``facts`` (pairs of label and text); ``groups``: parts of a sort that are open or closed for the same
        reason, each ``name``, ``where`` (its blocks in words), ``state``, ``reason``, ``module``, ``difference`` (the largest, in words), and
        ``rows``: ``name`` and ``difference`` of each of its parts.
    """
    opened = sum(part.state == "open" for part in parts)
    lead = plural(
        "{open} of {n} part of this model is opened", "{open} of {n} parts of this model are opened", len(parts)
    ).format(open=count(opened), n=count(len(parts)))
    lead += (
        _(
            ": for every number in them you can see how it was computed. The others are run as a whole by the "
            "model's own code; their inputs and outputs are recorded. All that is shown was compared with the "
            "model's own run."
        )
        if opened < len(parts)
        else _(
            ": for every number in it you can see how it was computed. All of it was compared with the model's own run."
        )
    )
    facts = [(_("family"), anatomy.family), (_("parameters"), count(anatomy.parameters)), *more]
    return {
        "badge": badge(anatomy),
        "lead": lead,
        "facts": [list(pair) for pair in facts],
        "groups": groups(anatomy, parts),
    }


def groups(anatomy: Anatomy, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Parts that are alike, closed ones first; see `about`."""
    alike: dict[tuple[bool, str, str], list[Part]] = {}
    for part in parts:
        alike.setdefault((part.state == "open", _sort(anatomy, part), part.reason), []).append(part)
    return [_group(anatomy, same) for _key, same in sorted(alike.items(), key=lambda pair: pair[0][0])]


def _group(anatomy: Anatomy, same: list[Part]) -> dict[str, Any]:
    layers = [layer for part in same if (layer := _layer(part)) is not None]
    known = [part.difference for part in same if part.difference is not None]
    own = same[0].name.rpartition(".")[2]
    module = module_of(anatomy, layers[0], own) if layers and same[0].state == "opaque" else None
    return {
        "name": _sort(anatomy, same[0]),
        "where": blocks_named(layers) if layers else "",
        "state": same[0].state,
        "reason": ended(same[0].reason),
        "module": ", ".join(text for text in (module.kind, module.size) if text) if module is not None else "",
        "difference": _compared(same[0].state, max(known)) if known else "",
        "rows": [
            {"name": part.name, "difference": _difference(part.difference) if part.difference is not None else ""} for part in same
        ],
    }  # fmt: skip


def _compared(state: str, value: float) -> str:
    """What the comparison with the model's own run has shown; differences are relative to the largest number of a token's vector."""
    if state == "open":
        if value == 0:
            return _("Exactly equal to the model's own run.")
        words = _(
            "Differs from the model's own run by at most {d}, relative to the largest number of the token's vector."
        )
        return words.format(d=number(value, 2))
    if value == 0:
        return _("Run again, it gives exactly the model's own numbers.")
    words = _(
        "Computed step by step, it differed from the model's own run by {d}, relative to the largest number of "
        "the token's vector. So it is not opened."
    )
    return words.format(d=number(value, 2))


def _difference(value: float) -> str:
    return _("exact") if value == 0 else number(value, 2)


def _layer(part: Part) -> int | None:
    pieces = part.name.split(".")
    return int(pieces[1]) if pieces[0] == "blocks" and len(pieces) > 2 and pieces[1].isdigit() else None


def _sort(anatomy: Anatomy, part: Part) -> str:
    """What a part is, in words."""
    layer, own = _layer(part), part.name.rpartition(".")[2]
    if layer is None:
        return {
            "embed": _("from tokens to the residual stream"),
            "output": _("from the residual stream to the logits"),
        }.get(part.name, part.name)
    block = anatomy.blocks[layer]
    if own == "mixer":
        return kind_name(block.kind)
    if own == "block":
        return _("whole block ({kind})").format(kind=kind_name(block.kind))
    if own == "mlp":
        return (
            _("MLP, a mixture of experts")
            if block.experts is not None and state_of(block, "mlp") == "open"
            else _("MLP")
        )
    return _("normalisation {name}").format(name=own)
