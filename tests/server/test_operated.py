"""`txpanel serve` as an operator starts it: https, a prefix, a password; and what a visitor meets."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.sweep
def test_a_password_a_prefix_and_https(tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)
    (tmp_path / "people.json").write_text('{"ada": "secret"}', encoding="utf-8")
    options = ["--port", "0", "--model", "nano", "--prefix", "/class", "--basic-auth", "people.json"]
    options += ["--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem", "--unused-session-lifetime", "60000"]
    options += ["--allow-websocket-origin", "https://class.example.org"]
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("TXPANEL_", "PANEL_"))}
    settings |= {"TXPANEL_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "txpanel", "serve", *options], cwd=tmp_path, env=settings, stdout=out, stderr=out
        )
    try:
        found = None
        while not found:
            assert server.poll() is None, log.read_text(encoding="utf-8")
            found = re.search(r"is at https://localhost:(\d+)/class/txpanel ", log.read_text(encoding="utf-8"))
            time.sleep(0.1)
        root = f"https://localhost:{found[1]}/class"
        trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        trusted.check_hostname = False  # a name in CN only
        jar = CookieJar()
        visitor = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trusted), urllib.request.HTTPCookieProcessor(jar)
        )

        def open_page(path: str, data: bytes | None = None) -> tuple[str, str]:
            for _again in range(600):  # the server is there a little later than its word
                try:
                    with visitor.open(root + path, data, timeout=60) as answer:
                        return answer.url, answer.read().decode()
                except urllib.error.URLError as error:
                    if isinstance(error, urllib.error.HTTPError):
                        raise
                    time.sleep(0.1)
            raise AssertionError(log.read_text(encoding="utf-8"))

        where, login = open_page("/txpanel")
        assert "/class/login" in where
        assert "Password" in login
        assert "https://" not in login
        wrong = urllib.parse.urlencode({"username": "ada", "password": "people.json"}).encode()
        assert "is wrong" in open_page("/login", wrong)[1]
        assert "refused kind=login address=127.0.0.1" in log.read_text(encoding="utf-8")
        right = urllib.parse.urlencode({"username": "ada", "password": "secret"}).encode()
        where, page = open_page("/login", right)  # after a wrong one, and with nothing else said
        assert where == f"{root}/txpanel"
        assert 'render_items = [{"token":"' in page
        assert all(cookie.secure for cookie in jar if cookie.name in ("user", "id_token"))
        assert "secret" not in log.read_text(encoding="utf-8")
    finally:
        server.terminate()
        server.wait(30)
