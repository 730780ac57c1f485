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
from playwright.sync_api import Route, expect

import txpanel
from tests.ui.conftest import Server, Tab
from tests.ui.test_content_policy import LISTEN

BOKEH = re.compile(r"/bokeh\.min\.js")
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
    return {part["key"]: part["values"] for part in json.loads(found[1])} if found else None


def warmed(server: Server, tab: Tab, **state: object) -> None:
    """Visits the page, after which what it shows is at hand."""
    tab.open(server.address(**state))
    tab.page.locator(".flow[data-shows]").wait_for()
    tab.until(lambda: first_of(page_of(server, **state)), "there is a first picture")


def held_back(tab: Tab) -> Callable[[], None]:
    """Bokeh does not come to this tab until what is returned is called."""
    held: list[Route] = []
    tab.page.route(BOKEH, lambda route: held.append(route))

    def go_on() -> None:
        tab.until(lambda: held)
        while held:
            held.pop().continue_()
            tab.page.wait_for_timeout(100)
        expect(tab.page.locator("#tx-first")).to_have_count(0)

    return go_on


@pytest.mark.parametrize("width", [1440, 390])
def test_the_first_picture_is_what_the_live_page_shows(server: Server, new_tab: Callable[..., Tab], width: int) -> None:
    warmed(server, new_tab())
    tab = new_tab(width=width, height=844)
    tab.page.add_init_script(LISTEN)
    go_on = held_back(tab)
    tab.page.goto(server.url, wait_until="commit")
    tab.page.locator("#tx-first .flow[data-shows]").wait_for()
    tab.page.evaluate("""Promise.all(["400 13px Roboto", "700 13px Roboto"].map((font) => document.fonts.load(font)))
      .then(() => new Promise(requestAnimationFrame)).then(() => new Promise(requestAnimationFrame))""")
    before: dict[str, Any] = tab.page.evaluate(LOOK)
    assert (before["early"], before["live"]) == (True, False)
    assert before["moving"] == "false"  # it is whole at once
    trace = txpanel.load("nano").trace(DEFAULT)
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


def test_what_somebody_does_before_the_page_is_live_is_done_when_it_is(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    warmed(server, new_tab())
    tab = new_tab()
    go_on = held_back(tab)
    tab.page.goto(server.url, wait_until="commit")
    tab.page.locator("#tx-first button.head[data-head='1']").click()
    tab.run("EDCBA=")
    tab.prompt.type("x")
    go_on()
    assert tab.page.evaluate(FOCUSED) == "textarea"
    tab.until(lambda: tab.page.locator(".flow[data-shows^='0/1/']").count(), "the other head is shown")
    expect(tab.page.locator(".flow .tokens")).to_contain_text("E")
    assert tab.prompt.input_value() == "EDCBA=x"


def test_the_first_picture_is_of_what_was_asked_for_or_there_is_none(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    warmed(server, new_tab())
    default = first_of(page_of(server))
    assert default is not None
    assert default["page/top_bar/top_bar"]["text"] == DEFAULT
    assert first_of(page_of(server, text="ABACABA=")) is None  # nobody has looked at it
    assert first_of(page_of(server, model="no-such-model")) is None
    assert first_of(page_of(server, text="")) is None
    assert first_of(page_of(server, film="AAAA")) is None
    warmed(server, new_tab(), text="EDCBA=", head=1, query=2)
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
    tab.open(server.address(text=text))
    page = page_of(server, text=text)
    assert "<img src=x" not in page
    assert tab.page.evaluate("window.ran") is None
