"""Our pages for logging in and out, and for who may not come in: they ask no other machine for anything."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, Template
from tornado.web import RequestHandler

from txpanel.compat.script_nonces import CURRENT
from txpanel.messages import _, language
from txpanel.server import visitors
from txpanel.server.rates import Buckets
from txpanel.server.refusals import refuse

__all__ = ["WRONG", "template", "turned_away", "wrong", "wrong_password"]

WRONG = 60
"""Wrong passwords that an address may give at once, and then per minute: enough for a class behind one address, too few to try all passwords."""

FOLDER = Path(__file__).parent / "login"


@cache
def template(name: str) -> Template:
    """The template ``login``, ``logout`` or ``error``; it takes the same values as Panel's own."""
    known = Environment(autoescape=True, loader=FileSystemLoader(FOLDER), trim_blocks=True, lstrip_blocks=True)
    known.globals.update(words=_words, language=_language, fonts=_fonts, plain=_plain, colours=_colours)
    return known.get_template(f"{name}.html")


wrong = Buckets()
"""Wrong passwords by address, of this process."""


def turned_away(handler: RequestHandler) -> bool:
    """Refuses a login from a page of another site, or from an address with too many wrong passwords. Returns whether it did (and has answered)."""
    address = visitors.address(handler.request)
    if _from_elsewhere(handler):
        refuse("cross-site", address)
        handler.set_status(403)
        handler.set_header("Content-Type", "text/plain; charset=utf-8")
        handler.finish(_("A page of another site may not log you in here.") + "\n")
        return True
    wait = wrong.wait(address, WRONG, WRONG / 60)
    if not wait:
        return False
    refuse("login", address)
    handler.set_status(429)
    handler.set_header("Retry-After", str(math.ceil(wait)))
    page: Template = handler._login_template  # type: ignore[attr-defined]
    handler.finish(
        page.render(login_endpoint="", errormessage=_later(), next_url=handler.get_argument("next", ""), PANEL_CDN="")
    )
    return True


def _from_elsewhere(handler: RequestHandler) -> bool:
    headers = handler.request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin", "")
    if site is not None:
        return site not in ("same-origin", "none")
    name = urlsplit(origin).netloc.lower()
    known = {str(handler.request.host).lower(), *getattr(handler.application, "websocket_origins", ())}
    return bool(origin) and not {name, f"{name}:80", f"{name}:443"} & known and "*" not in known


def wrong_password(handler: RequestHandler) -> str:
    """Counts a wrong password; returns what the visitor is told."""
    address = visitors.address(handler.request)
    wrong.owe(address, WRONG, WRONG / 60)
    refuse("login", address)
    return _wrong()


def _later() -> str:
    return _("Too many wrong passwords came from your network. Try again in a minute.")


def _wrong() -> str:
    return _("The name or the password is wrong. Try again.")


def _words() -> dict[str, str]:
    return {
        "lead": _("See how a language model gets to its next token."),
        "wrong": _wrong(),
        "later": _later(),
        "name": _("Name"),
        "password": _("Password"),
        "enter": _("Log in"),
        "left": _("You are logged out."),
        "leave": _("Log out"),
    }


@cache
def _colours() -> str:
    """Those of the page as CSS variables, for light and for dark."""
    from txpanel.toolkit.palette import COLOURS  # late: Bokeh, which the command line does without

    used = ("background", "surface", "border", "control", "text", "soft", "focus", "focus-ink", "on-focus", "bad")
    return "".join(f"--tx-{name}:light-dark({','.join(COLOURS[name])});" for name in used)


def _language() -> str:
    return language().replace("_", "-")


def _fonts() -> str:
    from txpanel.toolkit.palette import FONTS  # late: Bokeh, which the command line does without

    return FONTS


def _plain() -> str:
    """Marks the answer as a page of ours without scripts (`txpanel.server.headers`)."""
    nonce = CURRENT.get()
    if nonce is not None:
        nonce.plain = True
    return ""
