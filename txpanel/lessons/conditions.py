"""Conditions by name, such as ``rotary``: what a paragraph, a step or a lesson needs of the model and the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from txpanel.errors import BadLesson
from txpanel.lessons.values.heads import some_heads
from txpanel.lessons.vocabulary_kind import has_blanks, has_pieces
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.lessons.situation import Situation
    from txpanel.models.anatomy import BlockAnatomy

__all__ = ["CONDITIONS", "holds", "known", "missing"]

NOT = "not-"


def _some(test: Callable[[BlockAnatomy], object]) -> Callable[[Situation], bool]:
    return lambda here: any(bool(test(block)) for block in here.anatomy.blocks)


CONDITIONS: dict[str, Callable[[Situation], bool]] = {
    "attention": lambda here: here.block.has_attention,
    "mlp": lambda here: here.block.has_mlp,
    "logits": lambda here: "output" not in here.anatomy.opaque,
    "model": lambda here: here.trace.model is not None,
    "causal": lambda here: here.anatomy.causal,
    "writes-on": lambda here: not here.anatomy.fills,
    "learned-positions": lambda here: here.anatomy.positions == "learned",
    "rotary": lambda here: here.block.rotary is not None,
    "alibi": lambda here: here.anatomy.positions == "alibi",
    "layernorm": lambda here: here.block.norm_kind == "LayerNorm",
    "rmsnorm": lambda here: here.block.norm_kind == "RMSNorm",
    "norm-first": lambda here: here.block.norm_place in ("pre", "sandwich"),
    "shared-keys": lambda here: here.block.group > 1,
    "gated": lambda here: here.block.gated and here.block.experts is None,
    "plain-mlp": lambda here: here.block.has_mlp and not here.block.gated and here.block.experts is None,
    "experts": lambda here: here.block.experts is not None,
    "window": _some(lambda block: block.window),
    "softcap": lambda here: here.anatomy.logit_softcap is not None or any(b.softcap for b in here.anatomy.blocks),
    "sinks": _some(lambda block: block.sinks),
    "parallel": lambda here: here.block.parallel,
    "several-blocks": lambda here: here.anatomy.n_layers > 1,
    "several-heads": lambda here: here.block.n_heads > 1,
    "sorts-letters": lambda here: here.trace.model is not None and here.trace.model.name == "nano",
    "pieces": has_pieces,
    "blank-first": has_blanks,
    "previous-heads": lambda here: some_heads(here, "previous"),
    "induction-heads": lambda here: some_heads(here, "induction"),
    "first-heads": lambda here: some_heads(here, "first"),
    "several-tokens": lambda here: len(here.ids) > 2,
    "repeats": lambda here: here.repeat is not None,
    "interventions": lambda here: hasattr(here.trace, "changed"),
    "generated": lambda here: here.generated > 0,
    "on-page": lambda here: here.on_page,
}
"""What each asks of a `Situation`; with ``not-`` in front the opposite."""


def known(name: str) -> str:
    """The name itself.

    Raises:
        BadLesson: there is no such condition.
    """
    if name.removeprefix(NOT) not in CONDITIONS:
        said = _("There is no condition “{name}”; there are: {all}.")
        raise BadLesson(said.format(name=name[:40], all=", ".join(CONDITIONS)))
    return name


def holds(names: tuple[str, ...], here: Situation) -> bool:
    """Whether all of them hold."""
    return not missing(names, here)


def missing(names: tuple[str, ...], here: Situation) -> list[str]:
    """Those that do not hold."""
    return [name for name in names if CONDITIONS[name.removeprefix(NOT)](here) == name.startswith(NOT)]
