"""Drawing for paper: an SVG picture is built as a tree of elements, so that no text can become markup."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

__all__ = ["FAINT", "GREY", "INK", "WIDEST", "Drawing", "clean", "fitted", "text_width"]

WIDEST = 680
"""CSS pixels that fit between the margins of A4 and of Letter."""
INK, GREY, FAINT = "#111111", "#555555", "#bbbbbb"
"""Lines and letters, what is less important, and grids: three tones that a printer without colours can tell apart."""


class Drawing:
    """A picture, to which elements are added.

    Args:
        width, height: in CSS pixels; a picture is never larger on paper, but smaller where the paper is.
        label: what it shows, for people who do not see it.
    """

    def __init__(self, width: float, height: float, label: str) -> None:
        size = {"width": _spelled(width), "height": _spelled(height), "viewBox": f"0 0 {width:g} {height:g}"}
        self.root = ElementTree.Element("svg", {"role": "img", "aria-label": clean(label), **size})

    def add(self, tag: str, **attributes: object) -> ElementTree.Element:
        """An element; ``_`` in the name of an attribute stands for a hyphen, numbers are rounded to hundredths."""
        named = {name.replace("_", "-"): _spelled(value) for name, value in attributes.items()}
        return ElementTree.SubElement(self.root, tag, named)

    def text(
        self,
        x: float,
        y: float,
        said: str,
        *,
        size: float = 10,
        anchor: str = "start",
        bold: bool = False,
        fill: str = INK,
        turn: float = 0,
    ) -> None:
        """A text that begins, ends or is centred at a point; ``turn``: degrees."""
        more: dict[str, object] = {"font_weight": "bold"} if bold else {}
        if turn:
            more["transform"] = f"rotate({turn:g} {x:.1f} {y:.1f})"
        self.add("text", x=x, y=y, font_size=size, text_anchor=anchor, fill=fill, **more).text = clean(said)

    def rect(self, x: float, y: float, width: float, height: float, fill: str = "none", line: str = "none") -> None:
        """A rectangle."""
        more = {"stroke": line} if line != "none" else {}
        self.add("rect", x=x, y=y, width=width, height=height, fill=fill, **more)

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """A thick frame around what is in focus."""
        self.add("rect", x=x, y=y, width=width, height=height, fill="none", stroke=INK, stroke_width=2)

    def line(self, x: float, y: float, to_x: float, to_y: float, stroke: str = FAINT, width: float = 1) -> None:
        """A straight line."""
        self.add("line", x1=x, y1=y, x2=to_x, y2=to_y, stroke=stroke, stroke_width=width)

    def path(self, d: str, fill: str) -> None:
        """A filled shape of many parts."""
        self.add("path", d=d, fill=fill)

    def markup(self) -> str:
        """The picture as a part of an HTML page: whatever stands in it as text or as an attribute is escaped."""
        return ElementTree.tostring(self.root, encoding="unicode")


def clean(text: str) -> str:
    """A text without the signs that no page can show: controls and halves of pairs, which stand as �."""
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)


def fitted(text: str, room: float) -> str:
    """A text, cut so that it takes no more room than so many narrow letters; wide ones take two."""
    text = clean(text)
    if _wide(text) <= room:
        return text
    while text and _wide(text) > room - 1:
        text = text[:-1]
    return text + "…"


def text_width(text: str, size: float = 10) -> float:
    """About how many pixels a text takes in letters of a size; no font is asked, so rather too many."""
    return 0.6 * size * _wide(clean(text))


def _wide(text: str) -> int:
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _spelled(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
