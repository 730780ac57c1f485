"""What is drawn from the served HTML, before Bokeh runs, is what the live page shows; it becomes live where it stands, and is nobody else's."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from playwright.sync_api import Route, WebSocketRoute, expect

import txpanel
from tests.sweeping import first
from tests.ui.conftest import SMALL, Server, Tab
from tests.ui.test_content_policy import LISTEN

BOKEH = re.compile(r"/bokeh\.min\.js")
FILE = re.compile(r"/txpanel/txpanel\.js")
DEFAULT = "CBABBC="
LOOK = """() => {
  const all = (root, into = []) => { for (const e of root.querySelectorAll('*')) { into.push(e); if (e.shadowRoot) all(e.shadowRoot, into) } return into }
  const elements = all(document)
  const flow = elements.find((e) => e.matches('.flow[data-shows]'))
  const header = elements.find((e) => e.matches('header.bar'))
  const box = (e) => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height].map(Math.round) }
  const leaves = (name) => [...flow.querySelectorAll(`${name} *`)].filter((e) => !e.children.length && !e.closest('[hidden]'))
  const part = (name) => leaves(name).map((e) => [e.textContent, ...box(e)])
  return {
    early: Boolean(document.getElementById('tx-first')),
    live: Boolean(globalThis.Bokeh),
    header: [header.textContent, ...box(header)],
    flow: box(flow),
    next: part('.nextlist'), tokens: part('.tokens'), heads: part('.headings'), captions: part('.captions'),
    shows: flow.dataset.shows, moving: flow.dataset.moving,
    picture: flow.querySelector('canvas.picture').toDataURL(),
  } }"""

FOCUSED = (
    "() => { let e = document.activeElement; while (e.shadowRoot) e = e.shadowRoot.activeElement; return e.localName }"
)


def page_of(server: Server, **state: object) -> str:
    """The HTML that a visitor gets."""
    with urlopen(server.address(**state), timeout=60) as answer:
        return str(answer.read().decode("utf-8"))


def first_of(page: str) -> dict[str, dict[str, Any]] | None:
    """What a page draws first: each component's parameters, by its module; None: nothing."""
    found = re.search(r'id="tx-first-data">(.*?)</script>', page)
    return {part["key"]: part["values"] for part in json.loads(found[1])["parts"]} if found else None


def warmed(server: Server, new_tab: Callable[..., Tab], **state: object) -> None:
    """Visits the page, if nobody has, after which what it shows is at hand."""
    if first_of(page_of(server, **state)):
        return
    tab = new_tab().open(server.address(**state))
    tab.page.locator(".flow[data-shows]").wait_for()
    tab.until(lambda: first_of(page_of(server, **state)), "there is a first picture")


def held_back(tab: Tab, *, live: bool = True) -> Callable[[], None]:
    """Bokeh does not come to this tab until what is returned is called."""
    held: list[Route] = []
    tab.page.route(BOKEH, lambda route: held.append(route))

    def go_on() -> None:
        tab.until(lambda: held)
        while held:
            held.pop().continue_()
            tab.page.wait_for_timeout(100)
        if live:
            expect(tab.page.locator("#tx-first")).to_have_count(0)

    return go_on


@pytest.mark.parametrize("width", first(1, [1440, 390]))
def test_the_first_picture_is_what_the_live_page_shows(server: Server, new_tab: Callable[..., Tab], width: int) -> None:
    trace = txpanel.load("nano").trace(
        DEFAULT
    )  # first: the server lets go of a page whose scripts are held back for long
    warmed(server, new_tab)
    tab = new_tab(width=width, height=844)
    tab.page.add_init_script(LISTEN)
    go_on = held_back(tab)
    tab.page.goto(server.url, wait_until="commit")
    tab.page.locator("#tx-first .flow[data-shows]").wait_for()
    tab.page.evaluate("""Promise.all(["400 13px Roboto", "700 13px Roboto"].map((font) => document.fonts.load(font)))
      .then(() => document.fonts.ready)  // with it comes the event by which the page lays its words out again
      .then(() => new Promise(requestAnimationFrame)).then(() => new Promise(requestAnimationFrame))""")
    before: dict[str, Any] = tab.page.evaluate(LOOK)
    assert (before["early"], before["live"]) == (True, False)
    assert before["moving"] == "false"  # it is whole at once
    shares = trace.tensor("logits").double().softmax(-1)
    best = int(shares.argmax())
    assert trace.model is not None
    said = [text for text, *_box in before["next"]]
    assert said[0] == trace.model.tokens([best]).strings[0]
    data = first_of(page_of(server))
    assert data is not None
    sent = np.frombuffer(base64.b64decode(data["views/flow/main"]["next"]["probability"]["$bytes"]), np.float32)
    assert sent[0] == pytest.approx(float(shares[best]), abs=1e-7)
    go_on()
    after: dict[str, Any] = tab.page.evaluate(LOOK)
    assert (after["early"], after["live"]) == (False, True)
    same = ("header", "flow", "next", "tokens", "heads", "shows", "picture")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    for (text, *box), (other, *now) in zip(before["captions"], after["captions"], strict=True):
        assert text == other
        assert now == pytest.approx(
            box, abs=2
        )  # centred by their width, which the page's letters change when they come late
    tab.page.get_by_role("tab", selected=True).wait_for()
    assert tab.page.evaluate("window.violations") == []


def test_clicks_and_keys_before_the_page_is_live_take_effect_when_it_is(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    warmed(server, new_tab, view=SMALL)
    tab = new_tab()
    go_on = held_back(tab)
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    tab.page.locator("#tx-first button.head[data-head='1']").click()
    tab.run("EDCBA=")
    tab.prompt.type("x")
    go_on()
    assert tab.page.evaluate(FOCUSED) == "textarea"
    tab.until(lambda: tab.page.locator(".flow[data-shows^='0/1/']").count(), "the other head is shown")
    expect(tab.page.locator(".flow .tokens")).to_contain_text("E")
    assert tab.prompt.input_value() == "EDCBA=x"


def test_there_is_a_first_picture_only_of_a_run_that_is_at_hand(server: Server, new_tab: Callable[..., Tab]) -> None:
    warmed(server, new_tab)
    default = first_of(page_of(server))
    assert default is not None
    assert default["page/top_bar/top_bar"]["text"] == DEFAULT
    assert first_of(page_of(server, text="ABACABA=")) is None  # nobody has looked at it
    assert first_of(page_of(server, model="no-such-model")) is None
    assert first_of(page_of(server, text="")) is None
    assert first_of(page_of(server, film="AAAA")) is None
    warmed(server, new_tab, text="EDCBA=", head=1, query=2)
    other = first_of(page_of(server, text="EDCBA=", head=1, query=2))
    assert other is not None
    assert other["page/top_bar/top_bar"]["text"] == "EDCBA="
    flow = other["views/flow/main"]
    assert (flow["head"]["head"], flow["query"], "".join(flow["tokens"]["strings"])) == (1, 2, "EDCBA=")
    again = first_of(page_of(server))
    assert again is not None
    assert again["page/top_bar/top_bar"]["text"] == DEFAULT


def test_a_text_of_markup_is_text_in_the_first_picture(server: Server, new_tab: Callable[..., Tab]) -> None:
    text = "</script><img src=x: onerror='window.ran = 1'>"
    tab = new_tab()
    tab.open(server.address(text=text, view=SMALL))
    page = page_of(server, text=text, view=SMALL)
    assert "<img src=x" not in page
    assert tab.page.evaluate("window.ran") is None


SOCKET = re.compile(r"/ws(\?|$)")


def connection_bar(tab: Tab) -> Any:
    return tab.page.locator(".tx-connection .notice")


@pytest.mark.sweep
def test_without_a_connection_the_page_says_so_and_reloads(server: Server, new_tab: Callable[..., Tab]) -> None:
    """As when the server was started anew meanwhile: it does not have the session of this page."""
    warmed(server, new_tab, view=SMALL)
    tab = new_tab()
    tab.page.remove_listener("console", tab._console)  # Bokeh says it there
    tab.page.remove_listener("pageerror", tab._page_error)
    refused: list[str] = []

    def once(socket: WebSocketRoute) -> None:
        if refused:
            socket.connect_to_server()
        else:
            refused.append(socket.url)
            socket.close(code=4404)

    files_held: list[Route] = []
    away: list[bool] = []
    tab.page.route_web_socket(SOCKET, once)
    tab.page.route(BOKEH, lambda route: route.continue_() if away else files_held.append(route))
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    tab.page.locator("#tx-first .flow[data-shows]").wait_for()
    tab.prompt.fill("EDCBA=")
    tab.prompt.press("Enter")
    tab.prompt.type("x")
    tab.page.route(FILE, lambda route: route.abort())  # the server is away
    tab.until(lambda: files_held)
    away.append(True)
    files_held[0].continue_()
    expect(connection_bar(tab)).to_contain_text("The connection to the server is lost")
    tab.page.wait_for_timeout(2000)
    assert tab.page.locator("#tx-first").count() == 1
    tab.page.unroute(FILE)  # it is back
    expect(tab.page.locator("#tx-first")).to_have_count(0)
    tab.page.get_by_role("tab", selected=True).wait_for()
    expect(tab.page.locator(".flow .tokens")).to_contain_text("E")
    assert tab.prompt.input_value() == "EDCBA=x"


@pytest.mark.sweep
def test_a_page_that_connects_slowly_says_so_until_it_is_live(server: Server, new_tab: Callable[..., Tab]) -> None:
    warmed(server, new_tab, view=SMALL)
    tab = new_tab()
    go_on = held_back(tab)
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    tab.page.locator("#tx-first .flow[data-shows]").wait_for()
    expect(connection_bar(tab)).to_contain_text("still connecting")
    go_on()
    assert not connection_bar(tab).filter(visible=True).count()


@pytest.mark.sweep
def test_the_page_is_not_live_before_the_server_has_been_told(server: Server, new_tab: Callable[..., Tab]) -> None:
    """However long that takes: what is done meanwhile would be lost."""
    warmed(server, new_tab, view=SMALL)
    tab = new_tab()
    go_on = held_back(tab, live=False)
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    tab.page.locator("#tx-first .flow[data-shows]").wait_for()
    tab.page.evaluate("""() => {
      let bokeh
      const late = [] // what would tell the server that the page stands
      globalThis.tell = () => { globalThis.told = true; for (const call of late) call() }
      Object.defineProperty(globalThis, "Bokeh", {configurable: true, get: () => bokeh, set: (now) => {
        bokeh = now
        const {prototype} = bokeh.require("document/document").Document
        const own = prototype.notify_idle
        prototype.notify_idle = function (model) { globalThis.told ? own.call(this, model) : late.push(() => own.call(this, model)) }
      }})
    }""")
    go_on()
    tab.until(lambda: tab.page.evaluate("Boolean(globalThis.Bokeh?.documents.length)"))
    tab.page.wait_for_timeout(9000)
    assert tab.page.locator("#tx-first").count() == 1
    tab.page.locator("#tx-first button.head[data-head='1']").click()
    tab.page.evaluate("tell()")
    expect(tab.page.locator("#tx-first")).to_have_count(0)
    tab.until(lambda: tab.page.locator(".flow[data-shows^='0/1/']").count(), "the other head is shown")


def test_nothing_moves_while_a_button_is_pressed(server: Server, new_tab: Callable[..., Tab]) -> None:
    """The page becomes live when the slider is let go: until then its drag goes on."""
    warmed(server, new_tab, view=SMALL)
    tab = new_tab()
    held: list[Route] = []
    tab.page.route(BOKEH, lambda route: held.append(route))
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    slider = tab.page.locator("#tx-first").get_by_role("slider", name="temperature")
    box = slider.bounding_box()
    assert box is not None
    mouse, y = tab.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + 0.3 * box["width"], y)
    mouse.down()
    tab.until(lambda: held)
    held[0].continue_()
    there = "Boolean(globalThis.Bokeh?.documents.length && Bokeh.documents.every((one) => one.is_idle))"
    tab.until(lambda: tab.page.evaluate(there), "the real ones are there")
    tab.page.wait_for_timeout(1000)
    assert tab.page.locator("#tx-first").count() == 1
    mouse.move(box["x"] + 0.9 * box["width"], y, steps=4)
    wanted = float(slider.input_value())
    assert wanted > 1
    mouse.up()
    expect(tab.page.locator("#tx-first")).to_have_count(0)
    tab.until(lambda: f"temperature={wanted:g}" in tab.page.url, "the state hears of it")


@pytest.mark.sweep
def test_the_scroll_position_stays_when_the_page_becomes_live(server: Server, new_tab: Callable[..., Tab]) -> None:
    warmed(server, new_tab, view=SMALL)
    tab = new_tab(width=390, height=844)
    go_on = held_back(tab)
    tab.page.goto(server.address(view=SMALL), wait_until="commit")
    token = tab.page.locator(".nextlist .next").first
    token.wait_for()
    stage = tab.page.locator("#tx-first")
    tab.until(lambda: stage.evaluate("stage => stage.scrollHeight - stage.clientHeight") >= 700, "it is all there")
    tab.page.mouse.move(200, 400)
    tab.page.mouse.wheel(0, 700)
    tab.until(lambda: tab.page.locator("#tx-first").evaluate("stage => stage.scrollTop") == 700)
    before = token.bounding_box()
    go_on()
    after = token.bounding_box()
    assert before is not None
    assert after is not None
    assert after["y"] == pytest.approx(before["y"], abs=2)
