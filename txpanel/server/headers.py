"""The security headers of every answer: what a page may run and fetch, and which sites may show it in a frame.

Scripts are those of this server, and those in the page that say its nonce; ``blob:`` is how Panel hands components to the browser. Nothing is
evaluated: figures' JavaScript is a function of the page (:mod:`txpanel.toolkit.figure_code`). Styles stay open, since Bokeh
writes them into elements. With ``TXPANEL_EMBED`` other sites may show the page in a frame, and load ``autoload.js``.
"""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from txpanel.compat.script_nonces import CURRENT, Nonce
from txpanel.messages import answer_in
from txpanel.models.environment import environment
from txpanel.page import language
from txpanel.server.panel_options import SITE

__all__ = ["Headers", "embedders", "may_embed", "page_policy", "plain_policy"]

HOST = re.compile(r"[a-z0-9.-]+(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?", re.IGNORECASE)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def embedders() -> tuple[str, ...]:
    """The sites that may show the page, as a policy names them; ``*``: all. What is no origin is left out."""
    return tuple(origin for origin in environment().embed if SITE.fullmatch(origin))


def may_embed(origin: str) -> bool:
    """Whether a site, such as ``https://school.example``, may show the page."""
    site = origin.lower().rstrip("/")
    for allowed in (one.lower() for one in embedders()):
        scheme, _, host = allowed.rpartition("://")
        theirs, _, name = site.rpartition("://")
        same = name.endswith(host[1:]) if host.startswith("*.") else name == host
        if allowed == "*" or (same and scheme in ("", theirs)):
            return True
    return False


def page_policy(nonce: str, host: str) -> str:
    """The Content-Security-Policy of a page of ours.

    Args:
        nonce: of its scripts.
        host: under which it was asked for; older browsers do not count a websocket to it as ``'self'``.
    """
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    evaluate = " 'unsafe-eval'" if environment().unsafe_eval else ""
    rules = {
        "default-src": "'none'",
        "script-src": f"'self' 'nonce-{nonce}' blob:{evaluate}",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' blob:{sockets}",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        **_frames(),
        "form-action": "'self'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def plain_policy() -> str:
    """The Content-Security-Policy of pages without scripts: the login, errors."""
    rules = {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        **_frames(),
    }
    return "; ".join(f"{name} {value}" for name, value in (rules | {"base-uri": "'none'"}).items())


def _frames() -> dict[str, str]:
    return {"frame-ancestors": " ".join(["'self'", *embedders()]) if "*" not in embedders() else "*"}


class Headers(OutputTransform):
    """Adds the headers to an answer, whichever handler gives it."""

    def __init__(self, request: HTTPServerRequest) -> None:
        super().__init__(request)
        self.request = request
        self.nonce = Nonce()
        CURRENT.set(self.nonce)  # the handler runs in a task that is made after this, and sees it
        answer_in(language.of_request(request))

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """See Tornado."""
        for name, value in ALWAYS.items():
            headers.setdefault(name, value)
        headers.pop("Server", None)
        self._sharing(headers)
        if headers.get("Content-Type", "").startswith("text/html"):
            self._document(status_code, headers)
        return status_code, headers, chunk

    def _document(self, status_code: int, headers: HTTPHeaders) -> None:
        if self.nonce.used:
            policy = page_policy(self.nonce.word, self.request.host)
        elif status_code >= 400 or self.nonce.plain:
            policy = plain_policy()
        else:  # another application of this server
            policy = "; ".join(f"{name} {value}" for name, value in _frames().items())
        own = headers.get("Content-Security-Policy", policy)  # a handler may be stricter about its page
        if "frame-ancestors" not in own:
            own += "; frame-ancestors " + _frames()["frame-ancestors"]
        headers["Content-Security-Policy"] = own
        if not embedders():
            headers.setdefault("X-Frame-Options", "SAMEORIGIN")

    def _sharing(self, headers: HTTPHeaders) -> None:
        """Other sites may read an answer only where they may show the page."""
        origin = self.request.headers.get("Origin", "")
        shared = "Access-Control-Allow-Origin" in headers
        for name in [name for name in headers if name.lower().startswith("access-control-")]:
            if not (shared and may_embed(origin)):
                del headers[name]
        if shared and may_embed(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
        if not embedders():
            headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")


def install(tornado_app: Any, _http_server: Any) -> None:
    """Adds the headers to everything that an application of Tornado answers."""
    tornado_app.add_transform(Headers)
