"""The connection is cut, stalled, and the server started anew, through a proxy: the page says so, keeps what is typed, and goes on."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Error, Locator, WebSocket, expect

from tests.ui.conftest import FORGETFUL, SMALL, Server, Tab, sessions, start_server, stop_server
from tests.ui.proxy import Proxy

TEXT, NEXT = "CBABBC=", "EDCEDC="
"""What the page opens with, and what is typed: the nano model sorts letters, so A follows on the first, C on the second."""
OPTIONS = {"TXPANEL_PLUGINS": "none", "BOKEH_ALLOW_WS_ORIGIN": "*", "TXPANEL_METRICS": "local"}
CUT = re.compile(r"WebSocket connection to .* failed|Failed to load resource: net::ERR_")
"""What Chromium says in its console about a connection that cannot be opened, of a font as well; no page can prevent it."""


class Class:
    """A server behind a connection that can be cut, and a server in its place.

    Attributes:
        proxy: between it and the browser. server: what is behind it.
    """

    def __init__(self, home: Path, options: Sequence[str] = ()) -> None:
        self.home = home
        self.server = start_server(home, options=options, **OPTIONS)
        self.proxy = Proxy(port(self.server))

    @property
    def address(self) -> str:
        return f"http://localhost:{self.proxy.port}/txpanel?text={TEXT.replace('=', '%3D')}&temperature=0&view={SMALL}"

    def kill(self) -> None:
        self.server.process.kill()
        stop_server(self.server)

    def close(self) -> None:
        stop_server(self.server)
        self.proxy.close()

    def start(self) -> None:
        self.server = start_server(self.home, **OPTIONS)
        self.proxy.target = port(self.server)


def port(server: Server) -> int:
    return int(server.url.split(":")[2].split("/")[0])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    # on a full machine a line is silent for longer than the 15 s for which a server keeps a session that nobody asks for
    made = Class(tmp_path_factory.mktemp("connection"), ("--unused-session-lifetime", "120000"))
    yield made
    made.close()


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Class]:
    """One whose server does not keep a session for long."""
    made = Class(tmp_path, FORGETFUL)
    yield made
    made.close()


@pytest.fixture
def opened(new_tab: Callable[..., Tab]) -> Iterator[Callable[[Class], Tab]]:
    """Opens a page that runs."""
    tabs = list[tuple[Class, Tab]]()

    def open_it(room: Class) -> Tab:
        room.proxy.mend()
        tab = new_tab()
        tabs.append((room, tab))
        tab.open(room.address)
        expect(tab.ghost).to_have_text("A")
        return tab

    yield open_it
    for room, tab in tabs:
        room.proxy.mend()
        tab.wrong[:] = [wrong for wrong in tab.wrong if not CUT.search(wrong)]


@pytest.fixture
def tab(room: Class, opened: Callable[[Class], Tab]) -> Tab:
    """A page that is open and runs."""
    return opened(room)


def notice(tab: Tab) -> Locator:
    """The bar that says that the server is away."""
    return tab.page.locator(".tx-connection .notice[data-state]")


def state(tab: Tab) -> str:
    """What the bar says, as a word; empty: nothing."""
    return asked(
        tab, "document.querySelector('.tx-connection')?.shadowRoot.querySelector('.notice').dataset.state ?? ''"
    )


def asked(tab: Tab, what: str) -> str:
    """What a page answers; nothing, while it is being opened anew."""
    try:
        return str(tab.page.evaluate(what))
    except Error:
        return ""


def within(tab: Tab, seconds: float, what: Callable[[], object], say: str) -> float:
    """Waits, and returns how long it took."""
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds, say
        tab.page.wait_for_timeout(20)
    return time.monotonic() - begin


@contextmanager
def longest_silence(room: Class) -> Iterator[Callable[[], float]]:
    """How long the server has left somebody else without an answer, at most so far: on a busy machine it stands still by itself."""
    gaps, asked, done = [0.0], [time.monotonic()], threading.Event()

    def ask() -> None:
        while not done.is_set():
            asked[0] = time.monotonic()
            with suppress(OSError), urlopen(room.server.url.rsplit("/", 1)[0] + "/health", timeout=30) as answer:
                answer.read()
            gaps[0] = max(gaps[0], time.monotonic() - asked[0])
            done.wait(0.05)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield lambda: max(gaps[0], time.monotonic() - asked[0])
    finally:
        done.set()
        asker.join()


def back(tab: Tab, seconds: float = 15) -> None:
    within(tab, seconds, lambda: state(tab) in ("open", ""), "not connected again")


def this_page(tab: Tab) -> str:
    """A mark in this page that goes when it is opened anew."""
    return asked(tab, "String(globalThis.markOfThisPage ??= performance.timeOrigin)")


@pytest.mark.sweep
def test_a_lost_connection_is_shown_and_text_typed_meanwhile_runs_on_the_same_page(room: Class, tab: Tab) -> None:
    mark = this_page(tab)
    tab.page.wait_for_timeout(500)
    room.proxy.cut()
    within(tab, 3, lambda: state(tab) == "lost", "the page does not say that its connection is lost")
    bar = notice(tab)
    assert bar.get_attribute("role") == "status"
    assert bar.get_attribute("aria-live") == "polite"
    assert tab.ghost.is_visible(), "the prediction of the text that stands there is still true"
    tab.run(NEXT)
    expect(tab.ghost).to_be_hidden()
    expect(bar).to_contain_text("still show the previous text")
    tab.page.get_by_role("slider", name="Temperature").fill("0.5")
    tab.page.wait_for_timeout(4500)
    assert tab.ghost.is_hidden(), "an old prediction behind a new text"
    room.proxy.mend()
    back(tab)
    expect(tab.ghost).to_have_text("C")
    tab.until(lambda: "EDCEDC" in tab.page.url and "temperature=0.5" in tab.page.url, "the server heard of it")
    assert tab.prompt.input_value() == NEXT
    assert this_page(tab) == mark, "the page was opened anew, and its session was there still"
    expect(notice(tab)).to_have_count(0)
    tab.run("BADCAB=")
    tab.until(lambda: "BADCAB" in tab.page.url, "and it goes on as before")


@pytest.mark.sweep
def test_a_silent_connection_is_shown_and_a_busy_model_is_not_taken_for_one(room: Class, tab: Tab) -> None:
    mark, sockets = this_page(tab), list[WebSocket]()
    tab.page.on("websocket", lambda socket: sockets.append(socket))
    tab.page.get_by_role("combobox", name="How many tokens to generate").select_option("50")
    tab.page.get_by_role("button", name="Generate", exact=True).click()
    with longest_silence(room) as silence:
        for _look in range(60):  # the model works all the time
            said = state(tab)
            assert said == "" or silence() > 1, f"{said}, though the server answered others within {silence():.2f} s"
            tab.page.wait_for_timeout(50)
    tab.page.wait_for_timeout(2000)
    room.proxy.stall()
    within(
        tab, 15, lambda: state(tab) == "silent", "nothing says that the server does not answer"
    )  # 3 s of a page at rest
    tab.run(NEXT)
    assert tab.ghost.is_hidden()
    within(tab, 30, lambda: sockets, "no other connection is tried beside it")
    tab.page.wait_for_timeout(500)
    assert tab.ghost.is_hidden()
    room.proxy.mend()
    back(tab)
    tab.until(lambda: "EDCEDC" in tab.page.url)
    expect(tab.ghost).to_have_text("C")
    assert this_page(tab) == mark


@pytest.mark.sweep
@pytest.mark.slow
def test_when_its_session_has_ended_the_page_reloads_with_all_that_was_typed(
    forgetful: Class, opened: Callable[[Class], Tab]
) -> None:
    room, tab = forgetful, opened(forgetful)
    mark = this_page(tab)
    tab.page.get_by_role("button", name="Next block").click()
    tab.until(lambda: "layer=1" in tab.page.url)
    room.proxy.cut()
    within(tab, 3, lambda: state(tab) == "lost", "the page does not say that its connection is lost")
    tab.run(NEXT)
    tab.prompt.press_sequentially("A")
    within(tab, 120, lambda: sessions(room.server) == 0, "the server keeps the session for ever")
    assert state(tab) == "lost"
    assert tab.ghost.is_hidden()
    room.proxy.mend()
    within(tab, 20, lambda: this_page(tab) != mark, "no new session")
    tab.page.get_by_role("tab", selected=True).wait_for()
    tab.until(lambda: "EDCEDC" in tab.page.url, "the text that was run while nobody heard it")
    assert "layer=1" in tab.page.url
    assert tab.prompt.input_value() == NEXT + "A"
    assert tab.ghost.is_hidden(), "it is the prediction of another text"


@pytest.mark.sweep
def test_after_a_restart_of_a_killed_server_the_page_is_as_before(room: Class, tab: Tab) -> None:
    mark = this_page(tab)
    room.kill()
    within(tab, 3, lambda: state(tab) == "lost", "the page does not say that its server is away")
    tab.run(NEXT)
    assert tab.ghost.is_hidden()
    tab.page.get_by_role("slider", name="Temperature").fill("0.5")
    room.start()
    within(tab, 20, lambda: this_page(tab) != mark, "the page was not opened anew")
    tab.page.get_by_role("tab", selected=True).wait_for()
    expect(tab.ghost).to_have_text("C")
    tab.until(lambda: "EDCEDC" in tab.page.url and "temperature=0.5" in tab.page.url)
    assert tab.prompt.input_value() == NEXT
    assert state(tab) == ""


@pytest.mark.sweep
def test_the_bar_for_a_lost_connection_fits_on_a_phone_in_dark_mode(room: Class, new_tab: Callable[..., Tab]) -> None:
    room.proxy.mend()
    tab = new_tab(width=360, height=740, color_scheme="dark")
    tab.open(room.address)
    tab.page.wait_for_timeout(500)
    room.proxy.cut()
    within(tab, 3, lambda: state(tab) == "lost", "the page does not say that its connection is lost")
    box, prompt = notice(tab).bounding_box(), tab.prompt.bounding_box()
    assert box is not None
    assert prompt is not None
    assert box["y"] + box["height"] <= prompt["y"], "it stands on what somebody types, or on the numbers below"
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    ink, ground = notice(tab).evaluate("(bar) => [getComputedStyle(bar).color, getComputedStyle(bar).backgroundColor]")
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, ground))
    assert light > 450 > 200 > dark
    tab.page.wait_for_timeout(3000)  # until the pauses between two tries are long
    expect(notice(tab).get_by_role("button", name="Try now")).to_be_visible()
    room.proxy.mend()
    # it may have come back by itself meanwhile, and then nobody could click on the button any more
    tab.page.locator(".tx-connection button").evaluate("(button) => button.click()")
    back(tab, 3)
    tab.wrong[:] = [wrong for wrong in tab.wrong if not CUT.search(wrong)]
