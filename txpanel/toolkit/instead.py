"""What a view shows for a block without the part that the view is about: what the block has instead, why, and which blocks have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import param

from txpanel.messages import _
from txpanel.toolkit.component import Component
from txpanel.toolkit.part_words import (
    blocks_named,
    kind_words,
    mixer_name,
    module_of,
    nearest,
    part_name,
    state_of,
    why_closed,
    with_attention,
    with_mlp,
)
from txpanel.toolkit.text import Paragraph, rich

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["Instead", "instead_words"]

HAS = {"mixer": with_attention, "mlp": with_mlp}


class Instead(Component):
    """A heading and sentences, and buttons that go to other blocks; ``on_go(layer)`` is called for a click."""

    heading = param.String(default="", doc="What the block has instead.")
    paragraphs = param.List(default=[], doc="What `txpanel.toolkit.text.rich` returns.")
    actions = param.List(default=[], doc="Pairs of what a button says, and the layer that it goes to.")

    closed = param.Boolean(default=False, doc="Whether there is a part that is not opened: it gets the hatched mark.")

    _module = "instead.js"
    _styles = "instead.css"

    def __init__(self, on_go: Callable[[int], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_go = on_go

    def show(self, trace: Trace, layer: int, part: str) -> None:
        """Says it of one block; `part`: ``"mixer"`` where a view is about attention, ``"mlp"`` where it is about that."""
        heading, paragraphs, actions = instead_words(trace, layer, part)
        block = trace.anatomy.blocks[layer]
        closed = state_of(block, "block" if "block" in block.opaque else part) == "opaque"
        self.param.update(heading=heading, paragraphs=paragraphs, actions=actions, closed=closed)

    def _handle_msg(self, data: Any) -> None:
        layer = data.get("go") if isinstance(data, dict) else None
        if self._on_go is not None and isinstance(layer, int) and layer in [there for _text, there in self.actions]:
            self._on_go(layer)


def instead_words(trace: Trace, layer: int, part: str) -> tuple[str, list[Paragraph], list[list[Any]]]:
    """Heading, paragraphs and buttons of `Instead`.

    Args:
        part: ``"mixer"`` or ``"mlp"``: what the view is about.
    """
    anatomy, block = trace.anatomy, trace.anatomy.blocks[layer]
    closed = "block" if "block" in block.opaque else part
    opaque = state_of(block, closed) == "opaque"
    number = layer + 1
    if part == "mlp":
        heading = _("The MLP of block {n} is not opened") if opaque else _("Block {n} has no MLP")
    elif block.kind == "attention" and opaque:
        heading = _("The attention of block {n} is not opened")
    else:
        heading = _("Block {n} has no attention")
    text = _instead(block, part, opaque)
    if opaque:
        reads, wrote = {"block": ("block_in", "block_out"), "mlp": ("mlp_in", "mlp_out")}.get(
            closed, ("mixer_in", "mixer_out")
        )
        text += "\n\n" + _(
            "Its input (<code>{reads}</code>) and what it adds to the residual stream (<code>{writes}</code>) are "
            "recorded. The steps between them are not shown, because they could not be checked against the model."
        ).format(reads=f"blocks.{layer}.{reads}", writes=f"blocks.{layer}.{wrote}")
        text += "\n\n" + _("<muted>Reason: {reason}</muted>") + "\n\n" + _("<muted>Module: {module}</muted>")
    there = [other.index for other in anatomy.blocks if HAS[part](other)]
    text += "\n\n" + _where(part, len(there), anatomy.n_layers)
    module = module_of(anatomy, layer, closed) if opaque else None
    paragraphs = rich(
        text,
        name=part_name(block, closed if opaque else part),
        mixer=mixer_name(block),
        reason=why_closed(block, part) or "–",
        module=module.words if module is not None else "",
        blocks=blocks_named(there),
        n=number,
    )
    there_at = nearest(anatomy, layer, HAS[part])
    label = _("Go to block {n}")
    actions: list[list[Any]] = [] if there_at is None else [[label.format(n=there_at + 1), there_at]]
    return heading.format(n=number), paragraphs, actions


def _instead(block: Any, part: str, opaque: bool) -> str:
    """What stands in the place of the part."""
    if part == "mlp":
        if "block" in block.opaque:
            return _("This block is run as a whole: <b>{name}</b>.")
        return (
            _("Its MLP is run as a whole, by the model's own code.")
            if opaque
            else _("This block has only <b>{mixer}</b> and no MLP.")
        )
    if block.kind == "attention" and opaque:
        return _(
            "Tokens attend to each other in it, but its attention pattern is not known: it is run as a whole by the "
            "model's own code."
        )
    said = kind_words(block.kind)
    if block.kind in ("mlp", "hybrid"):
        return said
    if block.kind == "unknown":
        return _("This block has a layer of another kind instead of attention.") + f" {said}"
    return _("Here <b>{mixer}</b> moves information between tokens.") + (f" {said}" if said else "")


def _where(part: str, there: int, all_of_them: int) -> str:
    """Which blocks have it."""
    if part == "mlp":
        return _("The MLP is opened in {blocks}.") if there else _("The MLP is not opened in any block of this model.")
    if not there:
        return _(
            "Attention is not opened in any block of this model. Residual stream, logit lens, softmax and sampling "
            "are shown in full."
        )
    return _("Attention is opened in {blocks}.")
