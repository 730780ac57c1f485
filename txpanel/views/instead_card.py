"""What a view shows for a block without the part that the view is about: words, links to blocks that have it, and what the closed part reads and writes."""

from __future__ import annotations

from typing import Any

from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.card import flow, picture, provenance
from txpanel.toolkit.explained import highlighted_cells
from txpanel.toolkit.instead import Instead
from txpanel.toolkit.part_words import state_of
from txpanel.toolkit.vector_strips import VectorStrip, VectorStrips, strip_table
from txpanel.views.vectors import array, norm_text

__all__ = ["InsteadCard", "around"]

TENSORS = {"mixer": ("mixer_in", "mixer_out"), "mlp": ("mlp_in", "mlp_out"), "block": ("block_in", "block_out")}
HUES = {"mixer": "var(--tx-value)", "mlp": "var(--tx-mlp)", "block": "var(--tx-closed)"}


def around(trace: Any, layer: int, part: str, position: int) -> list[VectorStrip]:
    """What a closed part reads and what it adds, for one token; nothing where the part is open or not there. `part`: ``"mixer"`` or ``"mlp"``."""
    block = trace.anatomy.blocks[layer]
    part = "block" if "block" in block.opaque else part
    if state_of(block, part) != "opaque":
        return []
    found = []
    for name, label, sign in zip(
        TENSORS[part], (_("input"), _("what it adds to the residual stream")), ("", "→"), strict=True
    ):
        row = array(trace.tensor(f"blocks.{layer}.{name}")[position])
        hue = HUES[part] if sign else ""
        found.append(
            VectorStrip(
                label,
                row,
                f"blocks.{layer}.{name}",
                {"token": position},
                sign=sign,
                note=name,
                group=name,
                tail=norm_text(row),
                strong=bool(sign),
                hue=hue,
            )
        )
    return found


class InsteadCard:
    """The card of a view for blocks without the part that it is about.

    Args:
        view: whose state is followed.
        part: ``"mixer"`` for a view about attention, ``"mlp"`` for one about that.

    Attributes:
        panel: the card. words: the `Instead` in it. strips: the closed part's input and output for the chosen token.
    """

    def __init__(self, view: Any, part: str) -> None:
        self.view, self.part = view, part
        self.words = Instead(lambda layer: view.state.focus(layer=layer))
        self.strips = VectorStrips(on_pick=view.state.ask)
        self.picture = picture(
            _("Input and output"),
            "",
            self.strips,
            table=lambda: strip_table(self.strips.strips),
            name=f"{part}-closed",
            source=lambda: provenance(view.state, f"blocks.{view.state.layer}"),
            sizing_mode="stretch_width",
        )
        self.words.styles = {"flex": "1 1 380px", "min-width": "0"}
        self.picture.styles = {"flex": "1 1 420px", "min-width": "0"}
        self.panel = flow(
            self.words, self.picture, sizing_mode="stretch_width", visible=False, gap="18px 30px", stylesheets=[CARD]
        )

    def show(self) -> None:
        """Shows the card for the block in focus."""
        state = self.view.state
        self.words.show(state.trace, state.layer, self.part)
        found = around(state.trace, state.layer, self.part, state.query)
        self.picture.visible = bool(found)
        if found:
            self.strips.show(found)
            token = visible(state.trace.tokens.strings[state.query])
            self.picture.heading.paragraphs = [
                [("", _("vectors for “{token}”; click a number to see where it comes from").format(token=token))]
            ]
            self.strips.light(highlighted_cells(state.trace, state.question))
            self.picture.tools.changed()
        self.panel.visible = True

    def hide(self) -> None:
        """Hides the card: the block in focus has the part."""
        self.panel.visible = False

    def light(self) -> None:
        """Marks the numbers that the open “why” card is about."""
        if self.panel.visible:
            self.strips.light(highlighted_cells(self.view.state.trace, self.view.state.question))


CARD = """
:host{background:var(--tx-surface);border:1px solid var(--tx-border);border-radius:14px;padding:20px 22px;box-sizing:border-box;align-items:flex-start}
@media (max-width:640px){:host{padding:14px;border-radius:12px}}
"""
