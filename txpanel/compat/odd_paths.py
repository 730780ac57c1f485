"""A malformed address is answered by 400 and a sentence, before a handler gets it.

``/static/%00`` ends Tornado's file handler with a traceback and 500, so a stranger fills the log with them; an ``Origin`` such as ``http://[`` does the
same to whoever compares it with a name; and Panel takes where a page's files are from ``?bokeh-absolute-url=`` of any link, without a look at it: that
is for ``autoload.js`` alone.

Versions: Tornado 6.5 to 6.6, Panel 1.9.4 to 1.10.0.
Reason: safety; errors in the log that are none, and links that lead a page's files to another site.
Upstream: tornadoweb/tornado, tornado/web.py, `StaticFileHandler.validate_absolute_path`; holoviz/panel, panel/io/application.py, `_set_session_prefix`.
Test: tests/compat/test_odd_paths.py::test_the_libraries_still_stumble
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from tornado.web import RequestHandler

__all__ = ["install", "problem"]

Problem = Literal["bytes", "characters", "name", "from"]
"""``bytes``: the address is not UTF-8; ``characters``: it has some that are not allowed; ``name``: its host is not a name; ``from``: ``Origin`` or
``Referer`` is not an address."""

HOST = re.compile(r"[a-z0-9._-]*(:\d{0,5})?|\[[0-9a-f:.%]+\](:\d{0,5})?", re.IGNORECASE)
ABSOLUTE = "bokeh-absolute-url"


def problem(request: Any) -> Problem | None:
    """What is wrong with a request; None: nothing.

    Args:
        request: Tornado's.
    """
    path = unquote_to_bytes(request.path)
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return "bytes"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        return "characters"
    if not HOST.fullmatch(str(request.host or "")):
        return "name"
    for header in ("Origin", "Referer"):
        try:
            urlsplit(request.headers.get(header, "")).port  # noqa: B018 (it is read to see whether it can be)
        except ValueError:
            return "from"
    if ABSOLUTE in request.arguments:
        return _absolute(request)
    return None


def _absolute(request: Any) -> Problem | None:
    """Checks ``?bokeh-absolute-url=``, the address at which another site loads our files; removes it from requests other than ``autoload.js``."""
    if not request.path.endswith("/autoload.js"):
        for arguments in (request.arguments, request.query_arguments, request.body_arguments):
            arguments.pop(ABSOLUTE, None)
        return None
    try:
        said = urlsplit(request.arguments[ABSOLUTE][-1].decode())
    except ValueError:  # UnicodeDecodeError is one
        said = urlsplit("")
    if said.scheme in ("http", "https") and said.netloc:
        return None
    return "from"


class Odd(RequestHandler):
    """Answers such a request, whatever its method."""

    def initialize(self, said: str) -> None:
        """Takes the sentence that is answered."""
        self.said = said

    def prepare(self) -> None:
        """Answers 400 before any method of the handler is called."""
        self.set_status(400)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(f"{self.said}\n")


def install(tornado_app: Any, words: Callable[[Problem], str]) -> None:
    """Checks each request to an application of Tornado before it looks for a handler.

    Args:
        words: returns what the person is told, for each `Problem`.
    """
    own = tornado_app.find_handler

    def find_handler(request: Any, **more: Any) -> Any:
        found = problem(request)
        if found is not None:
            return tornado_app.get_handler_delegate(request, Odd, {"said": words(found)})
        return own(request, **more)

    tornado_app.find_handler = find_handler
