"""Pages for logging in and out, and for who may not come in, without pictures, fonts and styles from other machines.

And a login's cookies are not sent along with what another site asks for, nor without https where there is https; and who logs in
gets the page that was asked for, also after a wrong password.

Versions: Panel 1.9.4 to 1.10.0.
Reason: Panel's own ask its CDN for a logo and an icon, and Google for a font: the operator's visitors are told to others, and offline it is broken.
    After a wrong password they lead to ``/``, under a prefix another site's page. One password for all and no name: asked again without a word.
Upstream: holoviz/panel, panel/_templates/basic_login.html, logout.html and error.html: files of the server instead of PANEL_CDN.
Test: tests/compat/test_login_pages.py::test_pages_of_panel_still_ask_elsewhere
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import panel.auth
import panel.io.server
from jinja2 import Template
from tornado.web import RequestHandler

from txpanel.compat.replacing import replace

__all__ = ["mend"]

NAMES = {"BASIC_LOGIN_TEMPLATE": "login", "LOGOUT_TEMPLATE": "logout", "ERROR_TEMPLATE": "error"}


_UNSEEN = re.compile(r"[\x00-\x20\x7f]")
"""Characters that a browser leaves out of an address, or that a header or cookie cannot hold."""

ANYBODY = "visitor"
"""Name of a visitor who has given the one password for all, and no name."""


def mend(
    template: Callable[[str], Template],
    embedded: Callable[[], bool],
    refused: Callable[[RequestHandler], str] = lambda _handler: "Invalid username or password!",
    turned_away: Callable[[RequestHandler], bool] = lambda _handler: False,
) -> None:
    """Replaces Panel's templates by ours where the operator has given none; once per process, before Panel reads its options.

    Args:
        template: returns ours, by name: ``login``, ``logout``, ``error``.
        embedded: whether other sites may show the page: its cookies have to come along there.
        refused: called for each wrong password; returns what the person is told.
        turned_away: called before a password is checked; True: it has answered the request.
    """
    for module in (panel.auth, panel.io.server):
        for name, own in NAMES.items():
            if hasattr(module, name):
                setattr(module, name, template(own))
    panel.auth.BasicLoginHandler._login_template = template("login")
    panel.auth.LogoutHandler._logout_template = template("logout")
    panel.auth.OAuthLoginHandler._error_template = template("error")
    replace(RequestHandler, "set_cookie", lambda own: _stays(own, embedded))
    replace(panel.auth.BasicLoginHandler, "get", lambda _own: _asks, needs=("_login_template.render", "next_url"))
    replace(
        panel.auth.BasicLoginHandler,
        "post",
        lambda _own: _looks(refused, turned_away),
        needs=("self._validate(", "next_url"),
    )


def _asks(self: Any) -> None:
    wanted = _wanted(self)
    self.set_cookie("next_url", wanted)  # for a template that does not send it along
    page = self._login_template.render(
        login_endpoint=self._login_endpoint,
        errormessage=self.get_argument("error", ""),
        next_url=wanted,
        PANEL_CDN="",
    )
    self.write(page)


def _looks(
    refused: Callable[[RequestHandler], str], turned_away: Callable[[RequestHandler], bool]
) -> Callable[[Any], None]:
    def post(self: Any) -> None:
        if turned_away(self):
            return
        name, wanted = self.get_argument("username", ""), _wanted(self)
        if self._validate(name, self.get_argument("password", "")):
            self.set_current_user(name or ANYBODY)
            self.redirect(wanted)
        else:
            self.redirect(f"?{urlencode({'error': refused(self), 'next': wanted})}")

    return post


def _wanted(handler: Any) -> str:
    """The page that was asked for before the login; a cookie has no room for a long link, so the form has it first."""
    said = handler.get_argument("next", "") or handler.get_cookie("next_url", "")
    # of three slashes, or two with a tab between them, a browser makes another site's name, which Panel's look does not see
    said = _UNSEEN.sub("", said)
    if said and not said.startswith("//"):
        return str(panel.auth._validate_next_url(said))
    return "./" + "../" * (handler._login_endpoint.count("/") - 1)


def _stays(own: Callable[..., None], embedded: Callable[[], bool]) -> Callable[..., None]:
    def set_cookie(self: Any, name: str, value: Any, *args: Any, **named: Any) -> None:
        if not embedded():
            named.setdefault("samesite", "Lax")
        if self.request.protocol == "https":
            named.setdefault("secure", True)
        own(self, name, value, *args, **named)

    return set_cookie
