"""A server with little room: who comes too late waits on a page of his own and enters by himself; the controls say the limits."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import FORGETFUL, SMALL, Server, Tab, start_server, stop_server

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with room for one page, and for little on it."""
    running = start_server(
        tmp_path_factory.mktemp("small"),
        options=FORGETFUL,
        TXPANEL_PLUGINS="none",
        TXPANEL_MAX_SESSIONS="1",
        TXPANEL_MAX_NEW_TOKENS="5",
        TXPANEL_MAX_BEAMS="3",
        TXPANEL_MAX_TOKENS="30",
        TXPANEL_MAX_BRANCHES="50",
    )
    yield running
    stop_server(running)


@pytest.mark.slow
def test_a_visitor_of_a_full_server_waits_and_enters_automatically(small: Server, new_tab: Callable[..., Tab]) -> None:
    first = new_tab().open(small.address(text="CBA=", view=SMALL))
    first.page.reload()  # keeps its place
    first.page.get_by_role("tab", selected=True).wait_for()

    phone = new_tab(360, 640, color_scheme="dark")
    phone.page.goto(small.address(text="BCA=", layer=1, view=SMALL))
    said = phone.page.get_by_role("status")
    expect(said).to_have_text("Your place in the line is 1.")
    expect(phone.page.get_by_role("heading")).to_have_text("The server is full")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert phone.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(12, 18, 32)"
    second = new_tab()
    second.page.goto(small.address(text="A="))
    expect(second.page.get_by_role("status")).to_have_text("Your place in the line is 2.")

    second.page.reload()
    expect(second.page.get_by_role("status")).to_have_text("Your place in the line is 2.")

    asked = phone.page.evaluate("performance.timeOrigin")
    first.page.close()
    phone.page.get_by_role("tab", selected=True).wait_for()
    assert phone.page.evaluate("performance.timeOrigin") > asked
    expect(phone.prompt).to_have_value("BCA=")  # the page that was asked for
    phone.until(lambda: "place=" not in phone.page.url)
    expect(second.page.get_by_role("status")).to_have_text("Your place in the line is 1.")
    second.page.close()
    for tab in (first, phone, second):
        tab.wrong = [wrong for wrong in tab.wrong if "503" not in wrong]
    assert any("refused kind=full address=" in line for line in small.lines)
    phone.page.close()


@pytest.mark.slow
def test_the_controls_say_what_is_allowed_and_a_refusal_keeps_what_was_typed(
    small: Server, new_tab: Callable[..., Tab]
) -> None:
    facts = {"v": 1, "s": [[1, 0, 1, 0, 1, 1, 0]], "n": [[3, 0, 0, 0, 1, 0]] * 20_000, "a": 1, "l": 1}
    film = base64.urlsafe_b64encode(zlib.compress(json.dumps(facts, separators=(",", ":")).encode(), 9)).decode()
    tab = new_tab()
    tab.page.goto(small.address(text="CBA=", view=SMALL, film=film.rstrip("=")))
    tab.page.get_by_role("tab", selected=True).wait_for()  # at once, or when the one before is gone
    tab.wrong = [wrong for wrong in tab.wrong if "503" not in wrong]
    expect(tab.alert).to_contain_text("at most")  # the link of 20,000 branches
    expect(tab.prompt).to_have_value("CBA=")

    amount = tab.page.get_by_label("How many tokens to generate")
    assert "at most 5" in (amount.get_attribute("title") or "")
    assert amount.evaluate("(box) => [...box.options].filter((o) => !o.disabled).map((o) => Number(o.value))") == [
        1,
        5,
        0,
    ]
    assert amount.input_value() == "5"

    long = "CBA=" * 12
    tab.run(long)
    expect(tab.alert).to_contain_text("this server accepts at most 30")
    expect(tab.prompt).to_have_value(long)
    longer = "A" * 1201
    tab.run(longer)
    expect(tab.alert).to_contain_text("1201 characters")
    expect(tab.prompt).to_have_value(longer)
    tab.run("BCA=")
    expect(tab.alert).to_have_count(0)
    tab.page.close()
