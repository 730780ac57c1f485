"""What a page begins with: what it costs on the wire, counted, and a model that can't be had."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab
from txpanel.models.loading import NANO_FOLDER


def test_a_page_is_light_and_fetches_each_file_once(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab()
    received: list[int] = []
    fetched: Counter[str] = Counter()
    tab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
    tab.page.on("request", lambda request: fetched.update([request.url]))
    tab.open(server.address(text="CBABBC="))
    tab.page.locator(".flow[data-shows]").wait_for()
    ours = [url for url in fetched if "/extensions/txpanel/" in url]
    assert len(ours) == 1
    assert set(fetched.values()) == {1}
    assert sum(received) < 700_000
    assert len(received) < 350


def test_a_damaged_model_in_the_address_is_said_and_another_runs(server: Server, tab: Tab, tmp_path: Path) -> None:
    for name, content in (("cut", b"\0" * 1000), ("missing", None)):
        folder = shutil.copytree(NANO_FOLDER, tmp_path / name)
        weights = folder / "model.safetensors"
        weights.unlink() if content is None else weights.write_bytes(content)
        tab.open(server.address(text="CBABBC=", model=folder, temperature=0))
        expect(tab.page.get_by_role("banner").get_by_text(str(folder))).to_contain_text("It was chosen when txpanel")
        assert tab.prompt.input_value() == "CBABBC="
        expect(tab.ghost).to_have_text("A")
