"""Marks and words on a picture, each in its ink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, Glyph, GlyphRenderer, Text

__all__ = ["Words", "mark", "single"]


def single(renderer: GlyphRenderer) -> GlyphRenderer:
    """Takes away the copies of a glyph for what is selected, muted or pointed at: nothing is, and each costs a view in the browser."""
    renderer.update(selection_glyph=None, nonselection_glyph=None, muted_glyph=None, hover_glyph=None)
    return renderer


def mark(figure: Any, glyph: Glyph, source: ColumnDataSource, level: str = "glyph") -> GlyphRenderer:
    """Draws a glyph on a figure. Bokeh's ``figure.rect`` and the like make five glyphs where one is seen."""
    return single(figure.add_glyph(source, glyph, level=level))


class Words:
    """Texts in at most two colours: one Bokeh glyph for each.

    Colours given text by text go wrong in BokehJS 3.9 when the number of texts changes: it lays the new texts out with the
    old list of colours, reads past its end, and stops drawing the whole picture.

    Args:
        figure: the Bokeh figure.
        style: further properties of the texts.
    """

    def __init__(self, figure: Any, **style: Any) -> None:
        self.sources = [ColumnDataSource({"x": [], "y": [], "text": []}) for _ in range(2)]
        self.glyphs = [mark(figure, Text(x="x", y="y", text="text", **style), source).glyph for source in self.sources]

    def feed(self, x: Sequence[float], y: Sequence[float], text: Sequence[str], ink: Sequence[str]) -> None:
        """Show texts at places.

        Args:
            x, y, text: one for each text. ink: its colour; two different ones at most.
        """
        colours = list(dict.fromkeys(ink))
        for n, (source, glyph) in enumerate(zip(self.sources, self.glyphs, strict=True)):
            colour = colours[n] if n < len(colours) else None
            mine = [i for i, own in enumerate(ink) if own == colour]
            if colour is not None and glyph.text_color != colour:
                glyph.text_color = colour
            source.data = {"x": [x[i] for i in mine], "y": [y[i] for i in mine], "text": [text[i] for i in mine]}
