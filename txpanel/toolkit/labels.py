"""Marks and texts on a Bokeh figure, and labels that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, Glyph, GlyphRenderer, Text

from txpanel.models.tokens import alone
from txpanel.toolkit.figure_code import callback

__all__ = ["Words", "mark", "put", "shorten", "single"]


def shorten(text: str, length: int = 12) -> str:
    """A label that fits and can be seen: a long token is cut (the tooltip has all of it), and blanks are shown as marks."""
    text = alone(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def single(renderer: GlyphRenderer) -> GlyphRenderer:
    """Removes a renderer's glyphs for selection, muting and hover, which are not used: each costs a view in the browser."""
    renderer.update(selection_glyph=None, nonselection_glyph=None, muted_glyph=None, hover_glyph=None)
    return renderer


def mark(figure: Any, glyph: Glyph, source: ColumnDataSource, level: str = "glyph") -> GlyphRenderer:
    """Draws a glyph on a figure; Bokeh's ``figure.rect`` and the like make five glyphs of which one is seen."""
    return single(figure.add_glyph(source, glyph, level=level))


def put(source: ColumnDataSource, data: dict[str, Sequence[Any]]) -> None:
    """Sets a source's data if it has changed: Bokeh would send equal data again, and the browser would repaint the figure."""
    now = source.data
    if any(name not in now or [*now[name]] != [*column] for name, column in data.items()):
        source.data = data


class Words:
    """Texts in at most two colours: one Bokeh glyph for each.

    Colours given text by text go wrong in BokehJS 3.9 when the number of texts changes: it lays the new texts out with the
    old list of colours, reads past its end, and stops drawing the whole picture.

    Args:
        figure: the Bokeh figure.
        style: further properties of the texts.
    """

    def __init__(self, figure: Any, **style: Any) -> None:
        self.sources = [ColumnDataSource({"x": [], "y": [], "text": [], "whole": []}) for _ in range(2)]
        self.renderers = [mark(figure, Text(x="x", y="y", text="text", **style), source) for source in self.sources]
        self.glyphs = [renderer.glyph for renderer in self.renderers]

    def fit(self, figure: Any, *, cut: bool = False) -> None:
        """Keeps the texts inside their columns, with a margin: on a narrow page a picture shrinks, and only the browser knows how far.

        Args:
            figure: its x range counts columns, one wide each.
            cut: texts that are too long end in "…"; else (numbers) none is shown where the longest one has no room.
        """
        look = callback(
            "fit", figure=figure, range=figure.x_range, sources=self.sources, renderers=self.renderers, cut=cut
        )
        figure.js_on_change("inner_width", look)
        for source in self.sources:
            source.js_on_change("data", look)

    def look(self, size: int, margin: int) -> None:
        """How large the texts are, and how much of a column has to stay free beside them, in pixels."""
        for source, glyph in zip(self.sources, self.glyphs, strict=True):
            if source.tags != [size, margin]:
                source.tags = [size, margin]
                glyph.text_font_size = f"{size}px"

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
            said = [text[i] for i in mine]
            put(source, {"x": [x[i] for i in mine], "y": [y[i] for i in mine], "text": said, "whole": said})
