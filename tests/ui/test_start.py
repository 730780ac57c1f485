"""What a page begins with: what it costs on the wire, counted, and a model that can't be had."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import SMALL, Server, Tab
from txpanel.models.loading import NANO_FOLDER

BLOBS = """
  globalThis.blobs = []
  const make = URL.createObjectURL
  URL.createObjectURL = (blob) => { blob.text().then((text) => blobs.push(text)); return make.call(URL, blob) }
"""
LETTERS = re.compile(r"/roboto-(latin-400|latin-700|math-400)-")
"""√ is on the page."""


def test_a_page_sends_little_and_fetches_each_file_once(server: Server, new_tab: Callable[..., Tab]) -> None:
    """All requests, Bokeh's and Panel's included: nothing that the page does not use, and no module of ours as a blob."""
    tab = new_tab()
    received: list[int] = []
    fetched: Counter[str] = Counter()
    sizes: list[int] = []
    tab.page.add_init_script(BLOBS)
    tab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
    tab.page.on("request", lambda request: fetched.update([request.url]))
    tab.page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    tab.open(server.address(text="CBABBC="))
    tab.page.locator(".flow[data-shows]").wait_for()
    tab.page.evaluate("document.fonts.ready.then(() => true)")
    files = {url: n for url, n in fetched.items() if not url.startswith(("blob:", "data:"))}
    assert len(files) <= 12, "\n".join(files)
    assert set(files.values()) == {1}
    assert len([url for url in files if "/extensions/txpanel/" in url]) == 1
    assert not [url for url in files if re.search("tabulator|luxon|mathjax|bokeh-gl", url)]
    fonts = [url for url in files if url.endswith((".woff", ".woff2"))]
    assert all(LETTERS.search(url) for url in fonts), fonts
    blobs: list[str] = tab.page.evaluate("blobs")
    assert not [text[:200] for text in blobs if "--tx-" in text]
    assert sum(sizes) < 1_500_000
    assert sum(received) < 700_000
    assert len(received) < 350


@pytest.mark.sweep
def test_a_damaged_model_in_the_address_is_reported_and_another_one_runs(
    server: Server, tab: Tab, tmp_path: Path
) -> None:
    for name, content in (("cut", b"\0" * 1000), ("missing", None)):
        folder = shutil.copytree(NANO_FOLDER, tmp_path / name)
        weights = folder / "model.safetensors"
        weights.unlink() if content is None else weights.write_bytes(content)
        tab.open(server.address(text="CBABBC=", model=folder, temperature=0, view=SMALL))
        expect(tab.page.get_by_role("banner").get_by_text(str(folder))).to_be_visible()  # why it is another one
        assert tab.prompt.input_value() == "CBABBC="
        expect(tab.ghost).to_have_text("A")
