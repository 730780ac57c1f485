"""A run that is too long for an address: the browser keeps it under a name, and the address holds the name.

So a reload brings it back, also after the server was started anew, and no visitor's text is stored on the server. What a
browser hands over may have been written by anybody: it counts only if the name is that of its content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from txpanel.toolkit.incoming import heard

if TYPE_CHECKING:
    from txpanel.page.top_bar.component import TopBar
    from txpanel.session.tree_codec import TreeRecord

__all__ = ["NAME", "BrowserStorage"]

NAME = re.compile(r"@([0-9a-f]{20})\.(\d{1,6})\.(\d{1,6})")
"""In the address instead of the packed tree: hash of its content, the node that is shown, and the leaf of the branch through it."""


class BrowserStorage:
    """Hands runs to one browser, and asks it once for the run that its address names.

    Args:
        bar: the component through which runs are sent and requested.
        named: the address' tree, where that is the name of a stored run.
    """

    def __init__(self, bar: TopBar, named: str = "") -> None:
        self._bar = bar
        self._named = NAME.fullmatch(named)
        self._answer: dict[str, Any] | None = None
        self._then: Callable[[TreeRecord | None], None] | None = None
        if self._named is not None:
            bar.wanted = self._named[1]

    @property
    def asked(self) -> bool:
        """Whether the address names a run that a browser should have."""
        return self._named is not None

    def keep(self, given: TreeRecord) -> str:
        """Gives a run to the browser. Returns what the address says of it."""
        from txpanel.session.tree_codec import pack  # late: torch; the page is painted before it is imported

        tree = pack(replace(given, at=0, leaf=0))  # another place in it is the same run
        data = json.dumps({"text": given.text, "chat": given.chat, "film": tree})
        name = _name(data)
        if self._bar.kept.get("name") != name:
            self._bar.kept = {"name": name, "data": data}
        return f"@{name}.{given.at}.{given.leaf}"

    def then(self, step: Callable[[TreeRecord | None], None]) -> None:
        """Calls a function with the run that the address names, when the browser has answered; None: there is none."""
        self._then = step
        self._go_on()

    @heard
    def answered(self, data: dict[str, Any]) -> None:
        """The browser's answer: name, and data or nothing."""
        if self._named is not None and self._answer is None and data.get("name") == self._named[1]:
            self._answer = data
            self._go_on()

    def _go_on(self) -> None:
        if self._then is None or (self._named is not None and self._answer is None):
            return
        step, self._then = self._then, None
        step(self._found())

    def _found(self) -> TreeRecord | None:
        from txpanel.session.tree_codec import (  # late: torch; the page is painted before it is imported
            NewerVersion,
            TreeRecord,
            unpack,
        )

        if self._named is None or self._answer is None:
            return None
        data = self._answer.get("data")
        if not isinstance(data, str) or _name(data) != self._named[1]:
            return None
        try:
            facts = json.loads(data)
            text, chat = str(facts["text"]), bool(facts["chat"])
            found = unpack(facts["film"], text, chat)
        except NewerVersion as error:
            return TreeRecord(text, chat, note=str(error))
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        at, leaf = (min(int(place), len(found.entries)) for place in self._named.groups()[1:])
        return replace(found, at=at, leaf=leaf)


def _name(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()[:20]
