"""Closing a part of an opened model: from then on it is run by calling its module, and its numbers have no terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from txpanel.models import adapters
from txpanel.models.anatomy import OF_ATTENTION, OF_MLP, Anatomy, BlockAnatomy, defaults
from txpanel.models.parts import MATRICES_OF_ATTENTION, MATRICES_OF_MLP, BlockParts, ModelParts

NORMS = ("ln1", "ln2", "attn_norm", "mlp_norm", "cross_ln")
"""Norms of a block that can be closed by themselves."""


def close_part(anatomy: Anatomy, parts: ModelParts, layer: int, part: str, reason: str) -> Anatomy:
    """The anatomy with one part of a block closed; `parts` is changed with it.

    Args:
        part: see :class:`~txpanel.models.anatomy.BlockAnatomy`; a part that has no module of its own closes the whole block.
    """
    block, own = anatomy.blocks[layer], parts.blocks[layer]
    module = _module(own, part)
    if module is None:
        part, module = "block", own.block
    facts: dict[str, Any] = {}
    if part in ("mixer", "block"):
        facts |= defaults(OF_ATTENTION)
        _drop(own, MATRICES_OF_ATTENTION)
    if part in ("cross", "block"):
        facts["cross"] = None
        _drop(own, ("cross_q", "cross_k", "cross_v", "cross_o"))
    if part in ("mlp", "block"):
        facts |= defaults(OF_MLP)
        _drop(own, MATRICES_OF_MLP)
    if part in NORMS:
        own.norms.pop(part, None)
    if part == "block":
        own.norms.clear()
        own.opaque.clear()
        facts |= {"opaque": {part: reason}, **about_module(parts.names, part, module)}
    else:
        facts["opaque"] = {**block.opaque, part: reason}
        own_facts = about_module(parts.names, part, module)
        facts |= {name: {**getattr(block, name), **found} for name, found in own_facts.items()}
    own.opaque[part] = module
    facts["norm_eps"] = {name: norm.eps for name, norm in own.norms.items()}
    facts["adapters"] = adapters.described(own.maps)
    facts["quantised"] = {name: found.packed.method for name, found in own.maps.items() if found.packed}
    blocks = list(anatomy.blocks)
    blocks[layer] = replace(block, **facts)
    return replace(anatomy, blocks=tuple(blocks))


def close_end(anatomy: Anatomy, parts: ModelParts, end: str, reason: str) -> Anatomy:
    """The anatomy with the embedding (``embed``) or the steps after the last block (``output``) closed; `parts` is changed with it."""
    opaque = {**anatomy.opaque, end: reason}
    if end == "embed":
        parts.norms.pop("embed_norm", None)
        parts.maps.pop("embed_projection", None)
        return replace(
            anatomy,
            opaque=opaque,
            embed_norm=False,
            embed_projection=False,
            embed_after=False,
            token_types=False,
            mask_dropped=None,
        )
    parts.norms.pop("ln_final", None)
    parts.norms.pop("mlm_norm", None)
    parts.maps.pop("mlm_dense", None)
    parts.maps.pop("output_projection", None)
    return replace(
        anatomy,
        opaque=opaque,
        final_norm=None,
        output_projection=False,
        head="",
        head_norm=None,
        head_width=0,
        logit_scale=1.0,
        logit_softcap=None,
        logit_bias=False,
    )


def _module(own: BlockParts, part: str) -> Any:
    if part == "mixer":
        return own.attn
    if part == "cross":
        return own.cross
    if part == "mlp":
        return own.mlp if own.mlp is not own.block else None
    norm = own.norms.get(part)
    return norm.module if norm is not None else None


def _drop(own: BlockParts, names: tuple[str, ...]) -> None:
    for name in names:
        own.maps.pop(name, None)
        own.norms.pop(name, None)
        own.modules.pop(name, None)


def about_module(names: dict[int, str], part: str, module: Any) -> dict[str, dict[str, Any]]:
    """The facts of an anatomy about the module of a closed part: its path, its class, how many parameters it has."""
    size = sum(parameter.numel() for parameter in module.parameters())
    return {
        "modules": {part: names.get(id(module), "")},
        "made_by": {part: type(module).__name__},
        "sizes": {part: size},
    }


def parts_of(block: BlockAnatomy) -> list[str]:
    """The parts of a block that are open or not: ``block`` where it is closed as a whole; else ``mixer``, ``cross``, ``mlp``, and closed norms."""
    if "block" in block.opaque:
        return ["block"]
    parts = (("mixer", block.has_mixer), ("cross", block.cross_there), ("mlp", block.mlp_there))
    there = [name for name, is_there in parts if is_there]
    return [*there, *(norm for norm in NORMS if norm in block.opaque)]
