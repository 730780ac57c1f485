"""Sentences of a lesson for a notebook: as Markdown in which text stays text, and as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from txpanel.lessons.rendering import Pairs, plain_text

__all__ = ["Told", "markdown"]

MARKS = {"b": "b", "i": "i", "live": "b"}
"""As elements: between Japanese letters a ``**`` is often no mark."""
SIGNS = re.compile(r"[*_`\[\]<>#&~@]|:(?=//)|(?<=www)\.")
"""What Markdown may read as a mark or a link within a line. A backslash before it makes it a sign."""
MATH = re.compile(r"[$\\]")
"""Jupyter looks for formulas in the finished page, too, where the backslash is gone; not across the bounds of an element."""
BEGINS = re.compile(r"^(\d*)([-+.)])")
"""What would begin a list at the beginning of a paragraph."""


@dataclass(frozen=True)
class Told:
    """What a cell of a notebook shows: paragraphs of pairs (kind, text), as `txpanel.lessons.rendering.sentence` gives them."""

    paragraphs: tuple[tuple[tuple[str, str], ...], ...]

    def __repr__(self) -> str:
        return "\n\n".join(plain_text(list(one)) for one in self.paragraphs)

    __str__ = __repr__

    def _repr_markdown_(self) -> str:
        """For Jupyter; no token can become a mark, a link, a formula or HTML."""
        return "\n\n".join(markdown(list(one)) for one in self.paragraphs)


def told(*paragraphs: Pairs) -> Told:
    """Paragraphs, those without a word left out."""
    return Told(tuple(tuple(one) for one in paragraphs if plain_text(one).strip()))


def markdown(pairs: Pairs, *, behind: str = "") -> str:
    """A sentence as Markdown. Tokens are set as code: in there a formula's ``$`` is a sign as well.

    Args:
        behind: what it stands behind on its line, such as the signs of a heading.
    """
    if behind:
        return behind + "".join(_piece(kind, text) for kind, text in pairs).strip()
    return BEGINS.sub(r"\1\\\2", "".join(_piece(kind, text) for kind, text in pairs).strip())


def _piece(kind: str, text: str) -> str:
    text = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", "\ufffd", text) if kind == "token" else text
    if kind in ("token", "code") and text.strip():
        return _code(text)
    said = re.sub(f"{MATH.pattern}|{SIGNS.pattern}", _escaped, re.sub(r"\s+", " ", text))
    mark = MARKS.get(kind)
    return f"<{mark}>{said}</{mark}>" if mark else said


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    return f"<span>\\{sign}</span>" if MATH.fullmatch(sign) else f"\\{sign}"


def _code(text: str) -> str:
    """Code between more backticks than it has in a row."""
    fence = "`" * (max((len(found) for found in re.findall(r"`+", text)), default=0) + 1)
    room = " " if text.startswith("`") or text.endswith("`") or (text[0] == text[-1] == " ") else ""
    return f"{fence}{room}{text}{room}{fence}"
