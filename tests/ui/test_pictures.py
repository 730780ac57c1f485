"""Pictures as files: what is saved holds the words, the numbers' colours, and where they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator

from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="
SVG = "{http://www.w3.org/2000/svg}"


def saved(tab: Tab, picture: Locator, kind: str) -> bytes:
    """What the browser downloads when somebody saves a picture."""
    with tab.page.expect_download() as found:
        picture.get_by_role("button", name=f"Save the picture as {kind}").click()
    return Path(found.value.path()).read_bytes()


def holding(tab: Tab, title: str) -> Locator:
    """The innermost column with a picture of that title."""
    heading = tab.page.get_by_role("heading", name=title, exact=True)
    return tab.page.locator(".bk-panel-models-layout-Column", has=heading).last


@pytest.mark.parametrize(
    ("view", "title", "words", "images"),
    [
        ("Embedding", "From token id to vector", ["embedding (row", "norm"], 1),
        ("MLP", "Neurons with the largest outputs", ["promotes", "norm of its output"], 0),
        ("Next token", "From logit to probability", ["logit"], 0),
    ],
)
def test_a_saved_picture_has_its_words(
    server: Server, kept: Callable[..., Tab], view: str, title: str, words: list[str], images: int
) -> None:
    tab = kept(server.address(text=TEXT), as_is=True)
    tab.page.get_by_role("tab", name=view, exact=True).click()
    picture = holding(tab, title)
    picture.get_by_role("button", name="numbers and files").click()
    picture.get_by_role("button", name="Save the picture as SVG").wait_for()
    tab.page.wait_for_timeout(500)
    root = ElementTree.fromstring(saved(tab, picture, "SVG"))
    text = " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))
    assert title in text
    for word in words:
        assert word in text, text
    assert len(list(root.iter(f"{SVG}image"))) >= images
    assert TEXT in (root.findtext(f"{SVG}metadata") or "")
    png = saved(tab, picture, "PNG")
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5000
    assert TEXT.encode() in png
