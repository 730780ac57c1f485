"""Inline scripts of a page of ours carry the nonce of its Content-Security-Policy, by which the browser tells them from injected ones.

What a visitor wrote stands in the page itself only as JSON without a single ``<`` (`txpanel.toolkit.first_picture`), so every script in it is the
server's.

Versions: Bokeh 3.9 to 3.10, Panel 1.9.4 to 1.10.0.
Reason: without it a Content-Security-Policy has to allow every inline script.
Upstream: bokeh/bokeh, bokeh/embed/wrappers.py, wrap_in_script_tag: takes no nonce; so do the templates of Panel and panel-material-ui.
Test: tests/compat/test_script_nonces.py::test_bokeh_still_writes_scripts_without_a_nonce
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

__all__ = ["CURRENT", "Nonce", "marked"]

SCRIPT = re.compile(r"<script(?=[\s>])")


class Nonce:
    """The nonce of one answer.

    Attributes:
        word: the nonce, random. used: whether a page of ours was written with it. plain: whether the answer is a page of ours
            without scripts.
    """

    def __init__(self) -> None:
        self.word = secrets.token_urlsafe(18)
        self.used = self.plain = False


CURRENT: ContextVar[Nonce | None] = ContextVar("txpanel_nonce", default=None)
"""Of the request that is answered."""


def marked(page: str) -> str:
    """A page of ours with the nonce on its scripts, where the request has one."""
    nonce = CURRENT.get()
    if nonce is None:
        return page
    nonce.used = True
    return SCRIPT.sub(f'<script nonce="{nonce.word}"', page)
