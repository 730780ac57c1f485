"""Text on the page: marked-up paragraphs and the card of a view that failed. Never HTML from outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter
from typing import Any

import param

from txpanel.messages import _
from txpanel.toolkit.component import Component

__all__ = ["ErrorCard", "Paragraph", "Rich", "rich"]

Paragraph = list[tuple[str, str]]
"""Pairs (kind, text): "" plain, b, i, code, token, muted, good, bad, q k v m f (query, key, value, MLP, focus)."""

_MARK = re.compile(r"<(b|i|code|token|q|k|v|m|f|muted|good|bad)>(.*?)</\1>", re.DOTALL)


def rich(template: str, /, **values: Any) -> list[Paragraph]:
    """Marked-up text from a message and its values; a blank line begins a new paragraph.

    The marks are read before the values go in, so a token such as ``<b>`` stays what it is.

    Args:
        template: such as ``_("Here <token>{token}</token> takes {share} from its <v>value</v>.")``.
        values: what stands in the braces, as in `str.format`.

    Example:
        >>> rich("a <q>query</q> of {token}", token="<b>")
        [[('', 'a '), ('q', 'query'), ('', ' of <b>')]]
    """
    return [_paragraph(part.strip(), values) for part in template.split("\n\n") if part.strip()]


def _paragraph(template: str, values: dict[str, Any]) -> Paragraph:
    pairs: Paragraph = []
    at = 0
    for found in _MARK.finditer(template):
        pairs += [("", template[at : found.start()]), (found.group(1), found.group(2))]
        at = found.end()
    pairs.append(("", template[at:]))
    return [(kind, Formatter().vformat(text, (), values)) for kind, text in pairs if text]


class Rich(Component):
    """A heading and paragraphs of marked-up text."""

    heading = param.String(default="", doc="Heading above the paragraphs.")
    level = param.Integer(default=3, bounds=(2, 6), doc="Level of the heading in the document.")
    paragraphs = param.List(default=[], doc="What `rich` returns.")
    look = param.Selector(default="text", objects=["text", "note", "small", "lead"], doc="Size and colour of the text.")

    _module = "rich.js"
    _styles = "rich.css"


class ErrorCard(Component):
    """What stands in the place of a view that cannot be shown: which, why, and what can be done."""

    heading = param.String(default="", doc="Which view or plugin.")
    reason = param.String(default="", doc="Why it is not there, a sentence.")
    advice = param.String(default="", doc="What can be done.")
    details = param.String(default="", doc="Short traceback, folded.")
    details_label = param.String(default="", doc="On the fold.")
    retry_label = param.String(default="", doc="On the button; none without it.")

    _module = "error_card.js"
    _styles = "error_card.css"

    def __init__(self, on_retry: Callable[[], None] | None = None, **params: Any) -> None:
        params.setdefault("details_label", _("Details for the author of the view"))
        params.setdefault("retry_label", _("Try again") if on_retry else "")
        super().__init__(**params)
        self._retry = on_retry

    def _handle_msg(self, data: Any) -> None:
        if self._retry is not None and isinstance(data, dict) and data.get("kind") == "retry":
            self._retry()
