"""Encoder-decoders in a real browser: what the page says in place of the flow, and cross-attention below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

import txpanel
from tests.encoder_decoders import tiny_pair
from tests.sweeping import first
from tests.tracing.test_encoder_inputs import tiny, whisper
from tests.ui.conftest import Tab, served
from txpanel.models.language_model import LanguageModel

TEXT = "hello wörld, a b c"


def of_text() -> Any:
    return txpanel.explain(TEXT, model=tiny_pair("bart"))


def of_sound() -> Any:
    module, inputs = tiny(whisper)
    steps = txpanel.generate(LanguageModel.wrap(module, title="Tiny Whisper"), inputs=inputs, max_new_tokens=3)
    return txpanel.explain(list(steps)[-1].trace)


@pytest.mark.parametrize(
    ("app", "says"),
    first(1, [(of_text, TEXT), (of_sound, "has read the sound that the run was given, and made 20 vectors")]),
)
def test_the_page_says_why_there_is_no_flow_and_shows_cross_attention(
    app: Callable[[], Any], says: str, new_tab: Callable[..., Tab]
) -> None:
    with served(app) as address:
        page = new_tab().open(address).page
        card = page.get_by_role("heading", name="Encoder-decoder models are not drawn here yet")
        expect(card).to_be_visible()
        expect(page.locator("body")).to_contain_text(says)
        expect(page.locator(".flow")).to_be_hidden()  # it would ask for a text that is there
        bar, under = (
            page.get_by_role("group", name="Block, head and token").bounding_box(),
            page.get_by_role("tablist").first.bounding_box(),
        )
        box = card.bounding_box()
        assert None not in (bar, box, under)
        assert bar["y"] + bar["height"] < box["y"]  # type: ignore[index]
        assert under["y"] - box["y"] < 300  # type: ignore[index]  # no room is kept for a picture
        expect(page.get_by_role("heading", name="Cross-attention, block 1, head 1")).to_be_visible()
        if app is of_sound:
            expect(page.get_by_role("textbox", name="Prompt")).to_have_attribute(
                "placeholder",
                "This model does not read text: its encoder reads input_features. A run of it comes from Python.",
            )
