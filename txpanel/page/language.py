"""Which language a page speaks: that of its address, else the operator's, else the browser's."""

from __future__ import annotations

import re
import weakref
from typing import Any

import panel as pn
from bokeh.document import Document

from txpanel import messages

__all__ = ["NAMES", "chosen", "of_browser", "of_request", "others", "speak"]

NAMES = {"en": "English", "ja": "日本語"}
"""How each language calls itself."""

_pages: weakref.WeakKeyDictionary[Document, str] = weakref.WeakKeyDictionary()


def chosen(given: str | None, header: str | None) -> str:
    """The language of a page.

    Args:
        given: what the address says. header: the browser's ``Accept-Language``.

    Returns:
        A code of `messages.languages`; where neither names one of them, that of the process (``TXPANEL_LANGUAGE``), or English.
    """
    there = messages.languages()
    asked = (given or "").replace("-", "_")
    if asked in there:
        return asked
    return messages.decided() or of_browser(header or "", there) or messages.usual()


def of_request(request: Any) -> str:
    """The language of the answer to a request (one of Tornado's), for a page or anything else."""
    given = request.arguments.get("lang", [b""])[-1]
    return chosen(given.decode("ascii", "ignore"), request.headers.get("Accept-Language"))


def others(code: str) -> list[dict[str, str]]:
    """The languages that a page in this one can be opened in, for its switch."""
    there = [one for one in messages.languages() if one != code]
    return [{"code": one.replace("_", "-"), "name": NAMES.get(one, one)} for one in there]


def of_browser(header: str, there: list[str]) -> str | None:
    """The first language of an ``Accept-Language`` that there is: ``"ja-JP"`` asks for ``"ja"``, too."""
    asked: list[tuple[float, int, str]] = []
    for part in header.split(",")[:20]:
        found = re.fullmatch(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{1,3})?))?\s*", part)
        if found and float(found[2] or 1) > 0:
            asked.append((-float(found[2] or 1), len(asked), found[1].lower().split("-")[0]))
    known = {code.lower().split("_")[0]: code for code in reversed(there)}
    return next((known[code] for _weight, _place, code in sorted(asked) if code in known), None)


def speak(document: Document, code: str) -> None:
    """Sets a page's language: messages made while its document is current are in it."""
    _pages[document] = code
    messages.asked_by_page(_of_page)


def _of_page() -> str | None:
    document = pn.state.curdoc
    return _pages.get(document) if document is not None else None
