"""Debian's nginx with the operators' example (docs/operating/nginx.conf), on ports of this machine and with a certificate of its own."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "docs" / "operating" / "nginx.conf"
NAME = "class.example.org"
MAIN = """
{user}
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{}}
http {{
    {mime}
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/txpanel.conf;
}}
"""


@dataclass
class Nginx:
    """A running nginx. ``plain`` and ``secure`` are the ports that stand in for 80 and 443."""

    plain: int
    secure: int
    folder: Path

    def ask(self, path: str, *, secure: bool = True, **headers: str) -> http.client.HTTPResponse:
        """Answers as a visitor gets them; the certificate is checked. The body is read."""
        connection = http.client.HTTPConnection(NAME)
        raw = socket.create_connection(("127.0.0.1", self.secure if secure else self.plain), timeout=30)
        if secure:
            trust = ssl.create_default_context(cafile=self.folder / "cert.pem")
            raw = trust.wrap_socket(raw, server_hostname=NAME)
        connection.sock = raw
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer


def config(folder: Path, plain: int, secure: int, upstreams: Sequence[int]) -> str:
    """The example with other ports and files, and nothing else changed."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for pattern, instead in (
        (r"    listen \[::\].*\n", ""),
        (r"listen 80;", f"listen 127.0.0.1:{plain};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        (r"/etc/letsencrypt/live/class.example.org/fullchain.pem", f"{folder}/cert.pem"),
        (r"/etc/letsencrypt/live/class.example.org/privkey.pem", f"{folder}/key.pem"),
        (r"/var/log/nginx/", f"{folder}/"),
        (r"/var/www/html", f"{folder}/html"),
    ):
        text, found = re.subn(pattern, instead, text)
        assert found, f"{EXAMPLE}: no {pattern}"
    line = re.search(r"    server 127\.0\.0\.1:5006( .*;)\n", text)
    assert line is not None
    return text.replace(line[0], "".join(f"    server 127.0.0.1:{port}{line[1]}\n" for port in upstreams))


@contextmanager
def running(folder: Path, upstreams: Sequence[int]) -> Iterator[Nginx]:
    """Starts nginx in front of servers on these ports."""
    found, openssl = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("openssl")
    if found is None or openssl is None:
        raise RuntimeError(
            "The tests of docs/operating.md need nginx and openssl: scripts/browser installs them on Debian."
        )
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        plain, secure = one.getsockname()[1], two.getsockname()[1]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "html" / ".well-known" / "acme-challenge").mkdir(parents=True)
    (folder / "html" / ".well-known" / "acme-challenge" / "token").write_text("proof", encoding="utf-8")
    (folder / "txpanel.conf").write_text(config(folder, plain, secure, upstreams), encoding="utf-8")
    types = Path("/etc/nginx/mime.types")
    mime = f"include {types};" if types.exists() else ""
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, mime=mime, user=user), encoding="utf-8")
    options = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen([found, *options, "-g", "daemon off;"])
    try:
        for _again in range(200):
            if process.poll() is not None:
                raise RuntimeError((folder / "error.log").read_text(encoding="utf-8"))
            try:
                socket.create_connection(("127.0.0.1", secure), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Nginx(plain, secure, folder)
    finally:
        process.terminate()
        process.wait(10)
