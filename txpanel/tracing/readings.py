"""Other readings of a block whose first reading does not agree with its run: what the structure leaves open is decided by comparing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.parts import BlockParts

__all__ = ["Change", "others"]

Change = dict[str, Any]
"""Facts of a block to change, by name."""


def others(facts: BlockAnatomy, parts: BlockParts, trouble: set[str]) -> Iterator[Change]:
    """Readings that the block's structure allows as well, the likeliest first.

    Args:
        trouble: parts that do not agree: ``mixer``, ``mlp``, ``block``.
    """
    if "mixer" in trouble and facts.has_attention:
        if facts.softcap:
            yield {"softcap": None}  # a setting that the family's code does not read
        if facts.gate == "sigmoid":
            yield {"gate": "softplus"}
        yield from _rotations(facts)
        if facts.relative and facts.scaling != 1.0:
            yield {"scaling": 1.0}  # T5's relatives: the weights have the factor in them
    if "block" in trouble:
        yield from _places(facts, parts)


def _rotations(facts: BlockAnatomy) -> Iterator[Change]:
    """No rotation although the model has angles; other pairs of dimensions; norms of q and k after the rotation."""
    if facts.rotary is None:
        return
    yield {"rotary": None}
    if facts.rotary.dims < facts.head_dim and not facts.latent:  # some angles are zero
        yield {"rotary": replace(facts.rotary, dims=facts.head_dim, base=None)}
    yield {"rotary": replace(facts.rotary, backwards=True)}
    layouts: tuple[Literal["half", "interleaved", "split"], ...]
    layouts = ("half", "interleaved", "split") if facts.latent else ("half", "interleaved")
    for late in (facts.qk_norm_late, not facts.qk_norm_late) if facts.qk_norm else (facts.qk_norm_late,):
        for layout in layouts:
            if (layout, late) != (facts.rotary.layout, facts.qk_norm_late):
                yield {"rotary": replace(facts.rotary, layout=layout), "qk_norm_late": late}


def _places(facts: BlockAnatomy, parts: BlockParts) -> Iterator[Change]:
    """Norms on what is added instead of on the sum."""
    if facts.norm_place == "post" and {"ln1", "ln2"} <= parts.norms.keys():
        eps = {_BRANCH.get(name, name): value for name, value in facts.norm_eps.items()}
        yield {"norm_place": "branch", "norm_eps": eps}


_BRANCH = {"ln1": "attn_norm", "ln2": "mlp_norm"}


def take(parts: BlockParts, change: Change) -> Callable[[], None]:
    """Apply a change to a block's parts; returns a function that undoes it."""
    if change.get("norm_place") != "branch":
        return lambda: None
    before = dict(parts.norms)
    parts.norms = {_BRANCH.get(name, name): norm for name, norm in before.items()}
    return lambda: setattr(parts, "norms", before)
