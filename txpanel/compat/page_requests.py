"""A request for a page always makes a new session, whatever it brings; a websocket opens only the session of its page.

Bokeh takes the session from ``?bokeh-session-id=``, ``?bokeh-token=`` or the header ``Bokeh-Session-Id``: a link chooses the session, and who made
the link has it, too. A signature mends nothing, since an attacker's own signed id is a good one. Panel's ``--reuse-sessions`` gives
the first visitor the session that was made at the start. And a websocket whose session is not there makes one, with
the address, cookies and headers that its token claims, without a page and past everything that looks at requests for pages.

Here what a request brings is taken away before Bokeh looks (with ``--session-ids external-signed`` it must still be there and be good: it is a
ticket then, not the session). A websocket needs a session that a page was made for and that is still there; with the page's own token it opens as
often as needed, also after the token's 5 minutes: a page whose connection was lost comes back to its session. One without a session is
closed with `GONE`, so that the page can tell that from a server that is away.

Requests for pages (the document and ``autoload.js``) first pass the `gates`, which may answer instead.

Versions: Bokeh 3.9 to 3.10, Panel 1.9.4 to 1.10.0.
Reason: a link puts two people into one session.
Upstream: bokeh/bokeh, bokeh/server/views/session_handler.py, SessionHandler.get_session: no option to make every session anew.
Test: tests/compat/test_page_requests.py::test_bokeh_still_takes_the_session_from_the_address
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from bokeh.server.views.session_handler import SessionHandler
from bokeh.util.token import (
    check_session_id_signature,
    check_token_signature,
    generate_jwt_token,
    generate_session_id,
    get_session_id,
    get_token_payload,
)
from panel.io.server import AutoloadJsHandler, DocHandler, WSHandler
from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from txpanel.compat.replacing import replace

__all__ = ["GONE", "Gate", "close_as_gone", "gates", "mend"]

log = logging.getLogger(__name__)

GONE = 4404
"""Code with which a websocket is closed whose session is not there."""

LONGEST_TOKEN = 65_536

Gate = Callable[[Any], bool]
"""Is given the handler of a request for a page, before there is a session; True: it has answered (`finish`, `redirect`)."""

gates: list[Gate] = []
"""In the order in which they are asked."""


def mend() -> None:
    """Applies the workaround; once per process, may be called again.

    Raises:
        RuntimeError: the libraries are not what they were, and links might choose sessions.
    """
    done = [
        replace(SessionHandler, "get_session", _fresh),
        replace(DocHandler, "get_session", lambda _own: _not_reused),
        replace(DocHandler, "get", _gated),
        replace(AutoloadJsHandler, "get", _gated),
        replace(AutoloadJsHandler, "options", _asked),
        replace(WSHandler, "open", _known),
    ]
    if not all(done):
        raise RuntimeError("Bokeh's sessions are not what they were: a link might choose the session of who opens it")


def _gated(own: Callable[..., Awaitable[None] | None]) -> Callable[..., Awaitable[None]]:
    async def get(self: Any, *args: Any, **named: Any) -> None:
        for gate in gates:
            if gate(self):
                return
        answering = own(self, *args, **named)
        if answering is not None:  # else Tornado has sent the visitor to the login
            await answering

    return get


def _asked(own: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def options(self: Any, *args: Any, **named: Any) -> None:
        if "Origin" not in self.request.headers:  # of which Bokeh is certain
            self.set_status(204)
            return
        await own(self, *args, **named)

    return options


def _fresh(own: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def get_session(self: Any) -> Any:
        if not self.current_user:
            raise HTTPError(403)  # Tornado would send a script to the login, and go on without a session
        brought = _taken_away(self.request)
        app = self.application
        if not app.generate_session_ids:  # somebody else decides who may have a session
            if len(brought) != 1 or not _good(app, *brought[0]):
                raise HTTPError(403, reason="A signed session id is needed")
            new = generate_session_id(secret_key=app.secret_key, signed=app.sign_sessions)
            self.request.arguments["bokeh-session-id"] = [new.encode()]
        return await own(self)

    return get_session


async def _not_reused(self: Any) -> Any:
    return await SessionHandler.get_session(self)  # Panel's own would look for one that was made before


def _taken_away(request: Any) -> list[tuple[str, str]]:
    """Removes what names a session from a request: kind and value of each."""
    found = []
    for name in ("bokeh-session-id", "bokeh-token"):
        found += [(name, value.decode("utf-8", "replace")) for value in request.arguments.pop(name, [])]
        for more in (request.query_arguments, request.body_arguments):
            more.pop(name, None)
    found += [("bokeh-session-id", value) for value in request.headers.get_list("Bokeh-Session-Id")]
    if "Bokeh-Session-Id" in request.headers:
        del request.headers["Bokeh-Session-Id"]
    return found


def _good(app: Any, kind: str, value: str) -> bool:
    check: Any = check_token_signature if kind == "bokeh-token" else check_session_id_signature
    try:
        return bool(value) and bool(check(value, secret_key=app.secret_key, signed=app.sign_sessions))
    except (ValueError, KeyError, TypeError):  # no token at all
        return False


def _known(own: Callable[..., Any]) -> Callable[..., Any]:
    def open(self: Any, *args: Any, **named: Any) -> Any:
        token = _renewed(self)
        if token is None:
            log.info("a websocket without a session was closed")
            close_as_gone(self)
            return None
        self._token = token
        return own(self, *args, **named)

    return open


def close_as_gone(handler: Any) -> None:
    """Closes a websocket whose session is not there; a page that comes back (kept_connections.py) is told so in words, too."""
    if handler.get_query_argument("txpanel-got", None) is not None:
        WebSocketHandler.write_message(handler, 'txpanel {"kind": "gone"}')
    handler.close(GONE, "no such session")


def _renewed(handler: Any) -> str | None:
    """The token of a websocket's session, good for another while, with what its page was asked for with; None: there is no such session."""
    token, app = handler._token, handler.application
    if (
        handler.selected_subprotocol != "bokeh"
        or not token
        or len(token) > LONGEST_TOKEN
        or not _good(app, "bokeh-token", token)
    ):
        return None
    try:
        session = handler.application_context.get_session(get_session_id(token))
    except Exception:  # nothing that a stranger sends is worth a traceback
        return None
    payload: Any = {name: value for name, value in get_token_payload(session.token).items() if name != "session_expiry"}
    return generate_jwt_token(
        session.id,
        secret_key=app.secret_key,
        signed=app.sign_sessions,
        expiration=app.session_token_expiration,
        extra_payload=payload,
    )
