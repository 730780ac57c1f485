"""The page of a visitor who waits for a place: a small page with everything inside, which enters by itself when a place is free.

It has a content security policy of its own, in which this one script and this one style are named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path

from txpanel.messages import _, language
from txpanel.server.waiting_line import Answer

__all__ = ["full", "policy", "too_often"]

FOLDER = Path(__file__).parent


def full(answer: Answer, *, again: int, address_only: bool) -> str:
    """The page of a visitor who waits for a place.

    Args:
        again: seconds until it asks again. address_only: whether only his address has no place left.
    """
    title = _("All places of your network on this server are taken") if address_only else _("The server is full")
    words = _("Your place in the line is {n}.")
    if not answer.ticket:
        told = _("Too many people are waiting already. This page tries again by itself.")
        return _page(title, f"<p>{escape(told)}</p>", "", again, words)
    told = _("This page enters by itself as soon as there is room. You can leave it open and do something else.")
    place = f'<strong role="status">{escape(words.format(n=answer.place))}</strong>'
    return _page(title, f"{place}<p>{escape(told)}</p>", answer.ticket, again, words)


def too_often(again: int) -> str:
    """The page of a visitor whose address has requested too many pages."""
    told = _("Wait a moment: this page tries again by itself in {n} seconds.").format(n=again)
    return _page(_("Too many requests come from your network"), f"<p>{escape(told)}</p>", "", again, "")


def policy() -> str:
    """Its Content-Security-Policy, without ``frame-ancestors``, which is the same for all pages."""
    parts = ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "connect-src 'self'", "img-src 'self'"]
    parts += [f"script-src '{_digest(_script())}'", f"style-src '{_digest(_style())}'"]
    return "; ".join(parts)


def _page(title: str, inside: str, ticket: str, again: int, words: str) -> str:
    facts = f'data-ticket="{escape(ticket)}" data-again="{again}" data-words="{escape(words)}"'
    return (
        f'<!DOCTYPE html><html lang="{language().replace("_", "-")}"><head><meta charset="utf-8"><title>{escape(title)} · txpanel</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_style()}</style></head><body><main {facts}><h1>{escape(title)}</h1>{inside}</main>"
        f"<script>{_script()}</script></body></html>"
    )


@cache
def _script() -> str:
    source = (FOLDER / "waiting_page.js").read_text(encoding="utf-8")
    return f"(() => {{\n{source}}})()"


@cache
def _style() -> str:
    from txpanel.toolkit.palette import COLOURS, FONTS  # late: Bokeh, which the command line does without

    used = ("background", "surface", "border", "text", "soft", "focus-ink")
    colours = "".join(f"--tx-{name}:light-dark({','.join(COLOURS[name])});" for name in used)
    return f":root{{{colours}}}\n{(FOLDER / 'waiting_page.css').read_text(encoding='utf-8').replace('FONTS', FONTS)}"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
