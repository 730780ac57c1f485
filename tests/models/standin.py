"""Servers of this machine that stand in for the hub and for a package index, with the faults real ones have."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """Remembers what it was asked, and how it should misbehave.

    Attributes:
        asked: every request as (method, path, Range header or "").
        status: answer all requests with this status instead.
        headers: further headers for that answer.
        cut: name of a file to break off in the middle -> how many times still.
        silent: seconds to wait before any answer.
        forged: an ETag for all files that does not fit them.
        slow: seconds to wait after each 16 kB of a body.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[tuple[str, str, str]] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.silent = 0.0
        self.slow = 0.0
        self.forged = ""
        self.stopping = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, suffix: str) -> list[tuple[str, str, str]]:
        return [ask for ask in self.asked if ask[1].endswith(suffix)]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append((self.command, path, self.headers.get("Range", "")))
        if self.server.silent:
            self.server.stopping.wait(self.server.silent)
            self.close_connection = True
            return
        if self.server.status:
            self._send(self.server.status, b"{}", self.server.headers, body)
            return
        self.route(path, body)

    def route(self, path: str, body: bool) -> None:
        raise NotImplementedError

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self._write(content)

    def _file(self, content: bytes, headers: dict[str, str], body: bool) -> None:
        start = 0
        if given := self.headers.get("Range"):
            start = int(given.removeprefix("bytes=").split("-")[0])
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._send(206 if given else 200, content[start:], headers, body)

    def _write(self, content: bytes) -> None:
        name = self.path.rsplit("/", 1)[-1]
        left = self.server.cut.get(name, 0)
        if left:
            self.server.cut[name] = left - 1
            content = content[: len(content) // 2]
        for start in range(0, len(content), 16384):
            self.wfile.write(content[start : start + 16384])
            if self.server.slow:
                time.sleep(self.server.slow)
        if left:
            self.close_connection = True
            self.connection.shutdown(2)


def hub_handler(repos: dict[str, Path]) -> type[Handler]:
    """A hub that has the files of each folder."""

    class Hub(Handler):
        def route(self, path: str, body: bool) -> None:
            for repo, folder in repos.items():
                if path in (f"/api/models/{repo}", f"/api/models/{repo}/revision/main"):
                    self._send(200, info(repo, folder), {"Content-Type": "application/json"}, body)
                    return
                if path.startswith(f"/{repo}/resolve/"):
                    file = folder / path.split("/", 5)[-1]
                    if file.is_file():
                        content = file.read_bytes()
                        etag = self.server.forged or f'"{hashlib.sha256(content).hexdigest()}"'
                        self._file(content, {"ETag": etag, "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}, body)
                        return
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    return Hub


def info(repo: str, folder: Path) -> bytes:
    files = [
        {"rfilename": path.relative_to(folder).as_posix(), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return json.dumps({"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "siblings": files, "tags": []}).encode()


def index_handler(wheels: list[Path]) -> type[Handler]:
    """A package index (simple API) with these wheels."""

    class Index(Handler):
        def route(self, path: str, body: bool) -> None:
            for wheel in wheels:
                project = wheel.name.split("-")[0].replace("_", "-")
                if path == f"/simple/{project}/":
                    page = f'<!DOCTYPE html><html><body><a href="/files/{wheel.name}">{wheel.name}</a></body></html>'
                    self._send(200, page.encode(), {"Content-Type": "text/html"}, body)
                    return
                if path == f"/files/{wheel.name}":
                    self._file(wheel.read_bytes(), {"Accept-Ranges": "bytes"}, body)
                    return
            self._send(404, b"", {}, body)

    return Index


@contextmanager
def serving(handler: type[Handler]) -> Iterator[Server]:
    """The server, running until the block is left."""
    server = Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
