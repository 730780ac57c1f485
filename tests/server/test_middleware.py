"""What a real server lets in and puts into its answers: component files, sessions, websockets, headers, what another site's page may ask for."""

from __future__ import annotations

import http.client
import logging
import re
import sys
from collections.abc import Iterator
from urllib.parse import quote, unquote

import panel as pn
import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httpclient import HTTPClientError

from tests.server.served import Running, served
from txpanel.compat.page_requests import GONE
from txpanel.models import metrics
from txpanel.server import login_pages, policy, visitors
from txpanel.server.rates import Buckets


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TXPANEL_EMBED", raising=False)
        patch.delenv("TXPANEL_UNSAFE_EVAL", raising=False)
        with served() as running:
            yield running


# -- 1: modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["unittest.__main__", "txpanel.__main__", "this", "antigravity", "json.tool"])
def test_one_get_does_not_end_the_server(server: Running, module: str) -> None:
    """The case `one_get.sh`."""
    assert server.get(f"/components/{module}/x/_js/y").status == 404
    assert server.get().status == 200
    assert "antigravity" not in sys.modules


# -- 2: sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/txpanel", "/txpanel/autoload.js"])
@pytest.mark.parametrize("way", ["id", "token", "header", "reuse"])
def test_a_request_always_makes_a_new_session(server: Running, path: str, way: str) -> None:
    """The case `fixed_session.py`, for the attacker's own session, and for one that is not there yet."""
    mine = server.get()
    brought = {
        "id": (f"bokeh-session-id={mine.session}", {}),
        "token": (f"bokeh-token={mine.token}", {}),
        "header": ("", {"Bokeh_Session_Id": mine.session}),
        "reuse": ("bokeh-session-id=evil-known-id", {}),
    }
    query, headers = brought[way]
    before = server.sessions
    found = server.get(f"{path}?bokeh-autoload-element=x&{query}", **headers)
    assert found.status == 200
    assert found.session not in before | {"evil-known-id"}
    assert server.sessions == before | {found.session}
    assert server.get().session != found.session


def test_what_is_brought_twice_or_is_no_token_is_nothing(server: Running) -> None:
    for query in ("bokeh-session-id=a&bokeh-token=b", "bokeh-token=%00", "bokeh-session-id="):
        assert server.get(f"/txpanel?{query}", Bokeh_Session_Id="x").status == 200


def test_the_page_opens_its_session_as_often_as_it_needs(server: Running) -> None:
    page = server.get()
    before = server.sessions
    for _again in range(2):
        said, code = server.socket(page.token)
        assert '"ACK"' in said, code
    old = generate_jwt_token(page.session, signed=False, expiration=-60)  # the page was open for an hour
    assert '"ACK"' in server.socket(old)[0]
    assert server.sessions == before


def test_a_token_without_a_session_opens_none(server: Running) -> None:
    before = server.sessions
    made_up = generate_jwt_token(generate_session_id(signed=False), signed=False)
    for token in (made_up, "garbage", "e30", "e30.e30", "WzFd", "A" * 50_000):
        assert server.socket(token) == ("", GONE)
    assert server.socket(made_up, "?txpanel-got=0")[0] == 'txpanel {"kind": "gone"}'
    assert server.sessions == before


def test_signed_ids_from_outside_are_a_ticket_and_not_the_session() -> None:
    secret = {"secret_key": b"s" * 32, "sign_sessions": True}
    with served(**secret, generate_session_ids=False) as server:
        ticket = generate_session_id(secret_key=b"s" * 32, signed=True)
        pages = [server.get(f"/txpanel?bokeh-session-id={ticket}") for _ in range(2)]
        assert [page.status for page in pages] == [200, 200]
        assert len({ticket, *(page.session for page in pages)}) == 3
        assert '"ACK"' in server.socket(pages[0].token)[0]
        for query in ("", "?bokeh-session-id=unsigned", f"?bokeh-session-id={ticket}x", "?bokeh-token=x"):
            assert server.get(f"/txpanel{query}").status == 403


# -- 3: who is local -----------------------------------------------------------------------------------------------------


def test_behind_a_proxy_that_says_nothing_everybody_is_a_stranger() -> None:
    """nginx's plain ``proxy_pass`` to a server that lets pages of its name connect; each connection comes from this machine."""
    with served() as server:
        assert server.get().status == 200
        assert not visitors.is_public("127.0.0.1")
    with served(origins=["class.example.org"]) as server:
        assert server.get().status == 200
        assert visitors.exposed() == ("class.example.org:80",)
        assert visitors.is_public("127.0.0.1")
        assert not policy.any_model("127.0.0.1")


# -- 4: headers ----------------------------------------------------------------------------------------------------------


def test_every_script_of_a_page_has_the_nonce_of_its_answer(server: Running) -> None:
    words = []
    for _again in range(2):
        page = server.get()
        found = re.search(r"script-src 'self' 'nonce-([\w-]+)' blob:;", page.headers["Content-Security-Policy"])
        assert found
        words.append(found[1])
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert len(scripts) > 4
        assert all(f'nonce="{words[-1]}"' in script for script in scripts)
        assert "unsafe-eval" not in page.headers["Content-Security-Policy"]
    assert words[0] != words[1]


@pytest.mark.parametrize(
    "path", ["/txpanel", "/", "/static/js/bokeh.min.js", "/nothing", "/txpanel/metadata", "/components/this/x/_js/y"]
)
def test_every_answer_has_its_headers(server: Running, path: str) -> None:
    headers = server.get(path, Origin="http://127.0.0.1:1").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in headers
    assert headers["Access-Control-Allow-Origin"] is None
    if headers["Content-Type"].startswith("text/html") and path != "/":
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "SAMEORIGIN"


def test_embedding_is_off_until_a_site_is_named(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "/txpanel/autoload.js?bokeh-autoload-element=x"
    school = {"Origin": "https://school.example", "Sec_Fetch_Site": "cross-site"}
    frame = {"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Site": "cross-site"}
    assert server.get(script).headers["Access-Control-Allow-Origin"] is None
    before = server.sessions
    assert server.get(script, **school).status == 403
    assert server.get("/txpanel", **frame).status == 403
    assert server.sessions == before
    monkeypatch.setenv("TXPANEL_EMBED", "https://school.example, *.kids.example")
    found = server.get(script, **school)
    assert (found.status, found.headers["Access-Control-Allow-Origin"]) == (200, "https://school.example")
    page = server.get("/txpanel", **frame)
    assert "frame-ancestors 'self' https://school.example *.kids.example;" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] is None
    other = server.get(script, Origin="https://other.example", Sec_Fetch_Site="cross-site")
    assert (other.status, other.headers["Access-Control-Allow-Origin"]) == (403, None)


# -- what stands in pages of other sites -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Dest": "image", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Dest": "image", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Dest": "script", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Dest": "style"},
        {"Sec_Fetch_Dest": "empty", "Sec_Fetch_Site": "cross-site"},
        {"Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"},
        {"Accept": "text/css,*/*;q=0.1"},
        {"Accept": "*/*", "Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_a_picture_of_another_site_does_nothing(server: Running, headers: dict[str, str]) -> None:
    before = server.sessions
    found = server.get("/txpanel?text=x&model=/etc", **headers)
    if headers.get("Origin"):
        assert found.headers["Access-Control-Allow-Origin"] is None  # and it cannot read what it got
        return
    assert found.status == 403
    assert "." in found.text
    assert server.sessions == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
        {"Sec_Fetch_Dest": "document", "Sec_Fetch_Site": "cross-site"},  # a link
        {"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Dest": "empty", "Sec_Fetch_Site": "same-origin"},
    ],
    ids=str,
)
def test_who_opens_the_page_gets_it(server: Running, headers: dict[str, str]) -> None:
    assert server.get(**headers).status == 200


# -- 5: the login ----------------------------------------------------------------------------------------------------------


def test_the_login_is_a_page_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(pn.state), "on_session_destroyed", lambda *_given: None
    )  # of the process: other tests have no users
    monkeypatch.setattr(pn.config, "cookie_secret", None)
    with served(basic_auth="secret", cookie_secret="c" * 32, origins=["localhost"]) as server:
        away = server.get()
        assert away.status == 302
        login = server.get(away.headers["Location"].removeprefix("."))
        assert "Password" in login.text
        assert "https://" not in login.text
        assert "default-src 'none'" in login.headers["Content-Security-Policy"]
        assert "script-src" not in login.headers["Content-Security-Policy"]
        assert "samesite=lax" in login.headers["Set-Cookie"].lower()
        assert server.get("/txpanel/autoload.js?bokeh-autoload-element=x").status in (302, 403)
        assert server.get("/components/this/x/_js/y").status == 404
        assert not server.sessions
        with pytest.raises(HTTPClientError, match="403"):
            server.socket("e30")
        assert 'name="next" value="/txpanel?text=a%20b"' in server.get("/login?next=/txpanel?text%3Da%2520b").text
        away = (
            *("///evil.example", "//evil.example", "https://evil.example", "javascript:x", "/%5Cevil.example"),
            *("%20//evil.example", "%09//evil.example", "/%09/evil.example", "/%0a/evil.example", "/%0d/x"),
        )
        for elsewhere in away:
            there = server.get(f"/login?next={elsewhere}")
            assert there.status == 400 or 'name="next" value="./"' in there.text
            gone = server.post("/login", password="secret", next=unquote(elsewhere))
            assert gone.status == 400 or gone.headers["Location"] == "./"
        for odd in ("/%00", "/a%3Bb", "/ü", "/%22%0d%0aSet-Cookie:x", "/" + "a" * 20000):
            assert server.get(f"/login?next={quote(odd, safe='%/')}").status == 200


def test_wrong_passwords_are_counted_by_address_and_right_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(pn.state), "on_session_destroyed", lambda *_given: None)
    monkeypatch.setattr(pn.config, "cookie_secret", None)
    monkeypatch.setattr(login_pages, "wrong", Buckets())
    monkeypatch.setattr(login_pages, "WRONG", 3)
    address = ["203.0.113.5"]
    monkeypatch.setattr(visitors, "address", lambda _request: address[0])
    with served(basic_auth="Secret", cookie_secret="c" * 32, origins=["localhost"]) as server:
        for _again in range(9):  # a class logs in
            assert server.post("/login", password="Secret").status == 302
        for _again in range(3):
            assert server.post("/login", password="secret").headers["Location"].startswith("?error=")
        for password in ("secret", "Secret"):
            later = server.post("/login", password=password, next="/txpanel?text=a")
            assert (later.status, int(later.headers["Retry-After"])) == (429, pytest.approx(20, abs=1))
            assert "Too many wrong passwords" in later.text
            assert 'value="/txpanel?text=a"' in later.text
            assert "user=" not in str(later.headers)
        address[0] = "198.51.100.7"
        assert server.post("/login", password="Secret").status == 302


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        ({"Origin": "http://localhost:80"}, 302),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://school.example"}, 302),  # a proxy that passes no Host
    ],
    ids=str,
)
def test_no_page_of_another_site_logs_anybody_in(
    headers: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(pn.state), "on_session_destroyed", lambda *_given: None)
    monkeypatch.setattr(pn.config, "cookie_secret", None)
    with served(basic_auth="Secret", cookie_secret="c" * 32, origins=["localhost:80"]) as server:
        asked = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=20)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        asked.request("POST", "/login", "password=Secret", form | headers)
        assert asked.getresponse().status == status
        asked.close()


def test_a_websocket_of_another_sites_page_is_a_refusal_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with served() as server:
        before = int(metrics.REFUSALS.values().get("cross-site", 0))
        asked = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=20)
        key = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
        asked.request("GET", "/txpanel/ws", headers={**key, "Origin": "http://evil.example"})
        assert asked.getresponse().status == 403
        asked.close()
        assert int(metrics.REFUSALS.values()["cross-site"]) == before + 1
    assert "Refusing websocket connection from Origin 'http://evil.example'" in caplog.text
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


def test_one_password_for_all_needs_no_name_and_a_wrong_one_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(pn.state), "on_session_destroyed", lambda *_given: None)
    monkeypatch.setattr(pn.config, "cookie_secret", None)
    with served(basic_auth="Secret", cookie_secret="c" * 32, origins=["localhost"]) as server:
        wanted = "/txpanel?text=" + "a" * 5000  # more than a cookie holds
        wrong = server.post("/login", username="", password="secret", next=wanted)
        assert wrong.status == 302
        assert wrong.headers["Location"].startswith("?error=")
        again = server.get("/login" + wrong.headers["Location"])
        assert "is wrong" in again.text
        assert f'value="{wanted}"' in again.text
        right = server.post("/login", username="", password="Secret", next=wanted)
        assert right.headers["Location"] == wanted
        user = next(each for each in right.headers.get_all("Set-Cookie") if each.startswith("user="))
        assert server.get("/txpanel", Cookie=user.partition(";")[0]).status == 200
        assert server.post("/login", password="Secret").headers["Location"] == "./"
