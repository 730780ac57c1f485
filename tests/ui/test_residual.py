"""The residual view in the browser: the lens ends in the model's answer, progress gives way to the picture."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Server, Tab

TEXT = "CBABBC="


@pytest.mark.sweep
def test_the_logit_lens_ends_in_the_models_prediction(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="residual", temperature=0))
    expect(tab.ghost).to_have_text("A")
    tab.look_at_all()
    expect(tab.page.get_by_text(re.compile("most likely next token if the model ended"))).to_be_visible()
    expect(tab.page.get_by_text(re.compile("probability of “A”, the model's most likely token"))).to_be_visible()
    why = tab.page.get_by_role("region", name="why this number")
    for title, name in (
        ("Logit lens: the arrow keys", r"lens\.\d\.\d\.probs"),
        ("Norm of the residual stream: the arrow keys", r"blocks\.\d\.resid_p.*\.norm"),
    ):
        picture = tab.page.get_by_label(re.compile(title))
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        assert box is not None
        picture.click(position={"x": box["width"] / 2, "y": box["height"] * 0.4})
        expect(why.locator("code").first).to_have_text(re.compile(name))
        expect(why.locator(".check").first).to_contain_text("recomputed")


def test_another_token_changes_what_was_written(server: Server, kept: Callable[..., Tab]) -> None:
    tab = kept(server.address(text=TEXT, view="residual", temperature=0), as_is=True)
    tab.page.locator("button.token").last.click()
    expect(tab.page.get_by_text(re.compile("for “=”: attention upwards"))).to_be_visible()
    tab.page.locator("button.token").nth(2).click()
    expect(tab.page.get_by_text(re.compile("for “A”: attention upwards"))).to_be_visible()


@pytest.mark.parametrize(("width", "dark"), [(1440, 1), (390, 0)])
def test_the_page_has_no_horizontal_scrolling(server: Server, kept: Callable[..., Tab], width: int, dark: int) -> None:
    tab = kept(server.address(text=TEXT, view="residual", temperature=0), width, 844, dark=bool(dark), as_is=True)
    expect(tab.page.locator(".strip").first).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
