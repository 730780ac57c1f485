"""A dashboard in a notebook: with a kernel that answers it is live; without one, what needs the model is grey and no label moves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.ui.conftest import SMALL, Server, Tab

pytestmark = pytest.mark.sweep

NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
InteractiveShell.instance()
from panel.io.notebook import load_notebook
import txpanel
with capture_output() as cell:
    load_notebook(inline=True)
    shown = txpanel.explain("hello", model="nano")._repr_mimebundle_()
outputs = [one.data for one in cell.outputs] + [shown[0] if isinstance(shown, tuple) else shown]
page = "<!doctype html><meta charset=utf-8><body>"
for data in outputs:
    page += data.get("text/html", "")
    script = data.get("application/javascript", "")
    page += "<script>" + script.replace("</script", "<\\\\/script") + "</script>" if script else ""
open(sys.argv[1], "w", encoding="utf-8").write(page)
"""
"""Writes what a notebook shows of a cell, without the notebook: so it is when the kernel has gone."""

ASLEEP = "kernel does not answer"


def test_without_a_kernel_labels_and_pictures_stay_together(tmp_path: Path, new_tab: Callable[..., Tab]) -> None:
    file = tmp_path / "notebook.html"
    subprocess.run([sys.executable, "-c", NOTEBOOK, str(file)], check=True, timeout=300)
    tab = new_tab(1150, 900)
    page = tab.page
    page.goto(file.as_uri())
    flow = page.locator(".flow")
    expect(flow).to_have_attribute("data-shows", "0/0/4")
    assert "phone" not in (flow.get_attribute("class") or "")  # a cell of this width has the wide layout
    expect(tab.alert).to_contain_text(ASLEEP)
    head, after = page.locator("button.head").nth(1), page.get_by_role("button", name="Next block")
    for control in (
        head,
        after,
        page.get_by_role("button", name="Generate", exact=True),
        page.get_by_role("tab").first,
    ):
        expect(control).to_be_disabled()
        expect(control).to_have_attribute("title", "needs the model")
    for control in (head, after):
        control.dispatch_event("pointerdown")
        control.dispatch_event("click")
    flow.get_by_role("group", name="What each block adds").press("ArrowRight")
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    x, y = flow.evaluate("({flow}) => [flow.L.c0, flow.L.y0]")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_timeout(300)
    assert flow.get_attribute("data-shows") == "0/0/4"
    expect(page.get_by_text("Block 1 of 3", exact=True)).to_be_visible()
    expect(page.locator("button.head.on")).to_have_attribute("data-head", "0")
    # what the browser works out by itself goes on
    shares = page.locator(".nextlist .next em")
    before = shares.all_inner_texts()
    slider = page.locator(".handles").get_by_role("slider", name="temperature")
    slider.focus()
    for _press in range(15):
        slider.press("ArrowRight")
    tab.until(lambda: shares.all_inner_texts() != before, "the bars follow the temperature")


def test_a_late_answer_of_the_kernel_makes_the_page_usable_again(server: Server, tab: Tab) -> None:
    """The page of a server that believes to be in a notebook: the same messages, and an answer that can be held back."""
    held: list[Callable[[], None]] = []
    busy = {"now": False}

    def through(socket: WebSocketRoute) -> None:
        answers = socket.connect_to_server()

        def answered(message: Any) -> None:
            if busy["now"]:
                held.append(lambda: socket.send(message))
            else:
                socket.send(message)

        answers.on_message(answered)

    tab.page.add_init_script("globalThis.PyViz = {}")
    tab.page.route_web_socket("**/ws*", through)
    tab.open(
        server.address(text="DDAABBCC=", view=SMALL, v=2)
    )  # nobody has run it: there is no first picture, as in a notebook
    head = tab.page.locator("button.head").nth(1)
    tab.page.wait_for_timeout(6500)
    expect(head).to_be_enabled()
    expect(tab.alert).to_have_count(0)
    busy["now"] = True
    head.click()
    expect(tab.page.locator("button.head.on")).to_have_attribute("data-head", "1")
    expect(tab.alert).to_contain_text(ASLEEP)
    expect(tab.page.locator("button.head.on")).to_have_attribute("data-head", "0")  # no label without its picture
    expect(head).to_be_disabled()
    busy["now"] = False
    for one in held:
        one()
    expect(tab.page.locator(".flow[data-shows^='0/1/']")).to_have_count(1)
    expect(head).to_be_enabled()
    expect(tab.page.locator("button.head.on")).to_have_attribute("data-head", "1")
    assert head.get_attribute("title") != "needs the model"
    assert tab.alert.count() == 0
