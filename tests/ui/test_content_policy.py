"""The page works under its Content-Security-Policy: every tab, hover, cards, generating, the timeline; and what the policy is there for does not run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

import txpanel
from tests.sweeping import apart
from tests.ui.conftest import BUNDLE, SMALL, Server, Tab
from tests.ui.test_saved import assert_hover_tells
from tests.ui.test_why import ask, card

LISTEN = """
window.violations = []
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push([event.violatedDirective, event.blockedURI, event.sample, event.sourceFile, event.lineNumber].join(" ")))
"""
SMUGGLED = """() => {
  const node = document.createElement("div")
  node.innerHTML = "<img src=x: onerror='window.ran = 1'>"
  document.body.append(node, Object.assign(document.createElement("script"), {textContent: "window.ran = 2"}))
  setTimeout(() => { // what is evaluated for a test itself is let through
    try { Function("window.ran = 3")() } catch (error) { window.refused = error.name }
  })
  const elsewhere = document.createElement("script")
  elsewhere.src = "https://elsewhere.invalid/x.js"
  document.body.append(elsewhere)
}"""


@pytest.mark.sweep
@pytest.mark.parametrize("views", [2, apart(7)])
def test_the_page_works_under_its_policy(server: Server, tab: Tab, views: int) -> None:
    page = tab.page
    page.add_init_script(LISTEN)
    policies: list[str] = []
    page.on("response", lambda answer: policies.append(answer.headers.get("content-security-policy", "")))
    tab.open(server.address(text="CBABBC=", temperature=0, layer=0))
    assert policies[0].startswith("default-src 'none'; script-src 'self' 'nonce-")
    assert "unsafe-eval" not in policies[0]

    tab.until(lambda: page.locator("canvas").count() + page.locator("svg").count() > 2, "pictures are drawn")
    assert_hover_tells(tab, txpanel.load("nano").trace("CBABBC="))
    tabs = page.get_by_role("tab")
    assert tabs.count() == 7
    for n in range(7 - views, 7):
        tabs.nth(n).click()
        expect(tabs.nth(n)).to_have_attribute("aria-selected", "true")
        page.wait_for_timeout(300)
        page.wait_for_function(f"async () => ({BUNDLE}).settled()")

    page.goto(server.address(text="CBABBC=", temperature=0, view="residual", layer=1))
    ask(tab, "MLP output", 2)
    expect(card(tab).locator("code").first).to_have_text(re.compile("blocks"))
    page.get_by_role("button", name="Generate", exact=True).click()
    tab.until(lambda: "film=" in page.url, "something is generated")
    expect(page.get_by_role("button", name="Generate", exact=True)).to_be_visible()
    assert page.evaluate("window.violations") == []


def test_injected_scripts_do_not_run(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    tab.page.add_init_script(LISTEN)
    tab.open(server.address(text="CBABBC=", view=SMALL))
    tab.page.evaluate(SMUGGLED)
    tab.until(lambda: tab.page.evaluate("window.violations.length") >= 4 and tab.page.evaluate("window.refused"))
    found: Any = tab.page.evaluate("[window.ran, window.refused]")
    assert found == [None, "EvalError"]
    tab.wrong.clear()  # the browser says what it has refused
