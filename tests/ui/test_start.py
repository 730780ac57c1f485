"""What a page costs on the wire: counted, so that nobody makes it heavy without noticing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.ui.conftest import Server, Tab


def test_a_page_is_light_and_fetches_each_file_once(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    received: list[int] = []
    fetched: Counter[str] = Counter()
    tab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
    tab.page.on("request", lambda request: fetched.update([request.url]))
    tab.open(server.address(text="CBABBC="))
    tab.page.locator(".flow[data-shows]").wait_for()
    ours: dict[str, Any] = {url: n for url, n in fetched.items() if "/components/txpanel.components/" in url}
    assert len(ours) > 20
    assert set(ours.values()) == {1}
    assert sum(received) < 700_000
    assert len(received) < 350
