"""Rows of a CSV file that a spreadsheet shows and never runs, and that Python's `csv` module reads back.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, quoted or not, and tokens do begin so. Such a
text is written as JSON, in double quotes: ``"=1+1"``. So is every text that itself begins with a double quote, and therefore a cell that
begins with one is always JSON, and all others are the text as it is (`text_of`). Numbers stay numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["comment", "is_quoted", "line", "text_of"]

_BLANK = r"[\s\x00-\x1f\x7f\u200b\u2060\ufeff\"']*"
_SIGN = r"[=+\-@＝＋－＠]"  # the wide ones run in Japanese and Chinese editions
_RUNS = re.compile(rf"(?:^|[;\t\r\n]){_BLANK}{_SIGN}|(?:^|[;\t\r\n]){_BLANK}[\t\r\n\x00]")
"""What a spreadsheet would run: at the beginning, or where one that separates by semicolons or tabs would begin another cell."""
_SPLITS = re.compile(rf"[,;](?={_BLANK}{_SIGN})")


def line(values: Iterable[Any]) -> str:
    """One row, with its line feed. Numbers are written in full, texts as the module says, None as nothing."""
    return ",".join(map(_cell, values)) + "\n"


def comment(text: str, key: str = "") -> str:
    """A line that begins with ``#`` and holds a text as JSON, after its name; it makes no second cell that would run."""
    said = _SPLITS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
    return f"# {key}: {said}\n" if key else f"# {said}\n"


def text_of(cell: str) -> str:
    """The text of a cell, as the `csv` module gives it.

    Example:
        >>> [text_of(cell) for cell in next(csv.reader([line(["=1+1", "the"])]))]
        ['=1+1', 'the']
    """
    return str(json.loads(cell)) if cell.startswith('"') else cell


def is_quoted(value: Any) -> bool:
    """Whether `line` writes a value as JSON."""
    return isinstance(value, str) and (value.startswith('"') or _RUNS.search(value) is not None)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = json.dumps(value, ensure_ascii=False).replace(";", "\\u003b") if is_quoted(value) else value
    if text.startswith("#") or text != text.strip() or any(sign in text for sign in ',;"\r\n\t'):
        return '"' + text.replace('"', '""') + '"'
    return text
