"""B-04, B-05: what is sent to the browser for one head's map, and what the overview of all heads makes of the page."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import panel as pn
import torch

import txpanel
from benchmarks.subject import Subject
from benchmarks.tables import Table
from txpanel.tracing import record

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
)
COUNT = """() => { let n = 0; const walk = root => { for (const e of root.querySelectorAll('*')) { n += 1; if (e.shadowRoot) walk(e.shadowRoot) } };
walk(document); return n }"""


def bytes_sent(subject: Subject, lengths: list[int]) -> Table:
    """B-04."""
    table = Table(
        "B-04",
        "Bytes for one head's map",
        "txpanel: everything that the server sends after a change of head in its attention view, all pictures of that view together. BertViz's head "
        "view and CircuitsVis send all maps as text in a page: its size, and that over the number of maps.",
        [("tokens and tool", ""), ("bytes sent", "bytes"), ("per map", "bytes")],
        plot="per map",
        log=True,
    )
    heads, layers = subject.config.n_head, subject.config.n_layer
    for tokens in lengths:
        words = [f"w{i}" for i in range(tokens)]
        with torch.inference_mode():
            maps = subject.eager(subject.ids(tokens), output_attentions=True).attentions
        with page(subject, tokens) as view:
            sent = view.change_head()
        bertviz, circuitsvis = _bertviz(maps, words), _circuitsvis(maps[0][0].numpy(), words)
        table.rows += [
            [f"{tokens}: **txpanel, a change of head**", sent, sent],
            [f"{tokens}: BertViz, head view", bertviz, bertviz and bertviz // (layers * heads)],
            [f"{tokens}: CircuitsVis, one block", circuitsvis, circuitsvis and circuitsvis // heads],
        ]
    return table


def overview(subject: Subject, lengths: list[int]) -> Table:
    """B-05."""
    table = Table(
        "B-05",
        "All heads at once",
        "DOM elements of the whole page that holds txpanel's attention view (its overview is one picture of all heads of a block, and of all "
        "blocks), counted in Chromium, shadow roots included. BertViz's model view draws one SVG line for each pair of tokens in each head.",
        [("tokens and tool", ""), ("elements", "count")],
        plot="elements",
        log=True,
    )
    heads = subject.config.n_layer * subject.config.n_head
    for tokens in lengths:
        with page(subject, tokens) as view:
            table.rows.append([f"{tokens}: **txpanel, the page**", view.elements()])
        table.rows.append([f"{tokens}: BertViz, lines of its model view (counted, not run)", heads * tokens**2])
    return table


class Page:
    """The attention view in Chromium, beside a button that goes to the next head."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.received = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _frame(self, payload: str | bytes) -> None:
        self.received += len(payload if isinstance(payload, bytes) else payload.encode())

    def change_head(self) -> int:
        """Bytes received for one change of head."""
        before = self.quiet()
        self.page.get_by_role("button", name="next head").click()
        return self.quiet() - before

    def quiet(self, seconds: float = 3) -> int:
        """Wait until nothing has come for a while; what has been received so far."""
        before = -1
        while before != self.received:
            before = self.received
            self.page.wait_for_timeout(seconds * 1000)
        return self.received

    def elements(self) -> int:
        self.quiet()
        return int(self.page.evaluate(COUNT))


@contextmanager
def page(subject: Subject, tokens: int) -> Iterator[Page]:
    """Serve the view on a free port, open it, close both."""
    from playwright.sync_api import sync_playwright

    state = txpanel.ModelState(trace=record(subject.ours, subject.ids(tokens)[0].tolist(), reuse=False))

    def app() -> pn.Column:
        button = pn.widgets.Button(name="next head")
        button.on_click(lambda event: state.focus(head=(state.head + 1) % subject.config.n_head))
        return pn.Column(button, txpanel.views.AttentionView(state))

    port = _free_port()
    server = pn.serve({"view": app}, port=port, show=False, threaded=True, verbose=False)
    try:
        _listening(port)
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
            shown = Page(browser.new_page(viewport={"width": 1440, "height": 1000}))
            shown.page.goto(f"http://localhost:{port}/view")
            shown.page.get_by_role("button", name="next head").wait_for()
            yield shown
            browser.close()
            time.sleep(1)  # the server notices that the page is gone
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the server did not start")


def _bertviz(maps: Any, words: list[str]) -> int | None:
    if find_spec("bertviz") is None:
        return None
    from bertviz import head_view

    return len(head_view(maps, words, html_action="return").data.encode())


def _circuitsvis(layer: np.ndarray, words: list[str]) -> int | None:
    if find_spec("circuitsvis") is None:
        return None
    from circuitsvis.attention import attention_heads

    return len(str(attention_heads(attention=layer, tokens=words)).encode())
