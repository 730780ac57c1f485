"""Scripts, styles and SVG of the page as gzip: 4.44 MB for a first visit are 1.34, which decides on a school's network.

Each file is compressed once per process, while its first visitor gets it, and kept; nginx or a browser that asks for parts of it gets it as it
is. Only what is a file, the same for everybody: a compressed page that holds both a secret of its session and words that another site chose
could be guessed by its length (BREACH, Gluck, Harris & Prado 2013).
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

__all__ = ["Compressed", "install"]

KINDS = ("text/css", "text/javascript", "application/javascript", "application/json", "image/svg+xml")
LEAST = 1024
"""Least bytes of a file that is compressed."""
MOST = 16 * 1024**2
"""Most bytes of compressed files that are kept: a page of ours has 1.3 MB."""
LEVEL = 6

_kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
"""By path and ETag (Tornado's is a hash of the file's content); the event loop's thread alone uses it."""


class Compressed(OutputTransform):
    """One answer."""

    def __init__(self, request: HTTPServerRequest) -> None:
        super().__init__(request)
        given = request.headers
        self._wanted = request.method == "GET" and "Range" not in given and "gzip" in given.get("Accept-Encoding", "")
        self._path, self._version = request.path, request.version
        self._key = ("", "")
        self._done = False  # all has been sent
        self._stream: Any = None
        self._made: list[bytes] = []
        self._size, self._read = -1, 0

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """See Tornado."""
        if not self._is_file(headers):
            return status_code, headers, chunk
        headers["Vary"] = ", ".join(filter(None, [headers.get("Vary"), "Accept-Encoding"]))
        self._size = int(headers.get("Content-Length", len(chunk) if finishing else -1))
        if not self._wanted or status_code != 200 or self._size < LEAST:
            return status_code, headers, chunk
        self._key = self._path, headers["Etag"]
        kept = _kept.get(self._key)
        if kept is None and self._version != "HTTP/1.1":  # which knows no answer of a length to come
            return status_code, headers, chunk
        headers["Etag"] = f"W/{headers['Etag'].removeprefix('W/')}"  # the same file in other bytes
        headers["Content-Encoding"] = "gzip"
        if kept is not None:
            _kept.move_to_end(self._key)
            headers["Content-Length"] = str(len(kept))
            self._done = True
            return status_code, headers, kept
        headers.pop("Content-Length", None)
        self._stream = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        chunk = self.transform_chunk(chunk, finishing)
        if finishing:
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """See Tornado."""
        if self._done:
            return b""
        if self._stream is None:
            return chunk
        made: bytes = self._stream.compress(chunk) + (self._stream.flush() if finishing else b"")
        self._made.append(made)
        self._read += len(chunk)
        if finishing and self._read == self._size:  # it ends early where the visitor has gone
            _keep(self._key, b"".join(self._made))
        return made

    @staticmethod
    def _is_file(headers: HTTPHeaders) -> bool:
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return kind in KINDS and "Etag" in headers and "Set-Cookie" not in headers and "Content-Encoding" not in headers


def _keep(key: tuple[str, str], made: bytes) -> None:
    _kept[key] = made
    while sum(map(len, _kept.values())) > MOST:
        _kept.popitem(last=False)


def install(tornado_app: Any, _http_server: Any) -> None:
    """Compresses the files that an application of Tornado answers with."""
    tornado_app.add_transform(Compressed)
