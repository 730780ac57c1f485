"""A model that fills gaps, in a real browser: where its answer stands, what the page calls it, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import panel as pn
import pytest
from playwright.sync_api import Page, expect

from tests.families import masked_tokenizer
from tests.sweep.configs import MASKED, model_of
from tests.ui.conftest import PATIENCE, SMALL, Tab, served
from txpanel.models.language_model import LanguageModel
from txpanel.page import theme
from txpanel.page.dashboard import Dashboard
from txpanel.session.state import ModelState

TEXT = "the c<mask>t s<mask>t"


@cache
def model() -> LanguageModel:
    return LanguageModel.wrap(model_of("bert" + MASKED), masked_tokenizer(), name="tiny-bert", title="Tiny BERT")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    def app() -> Any:
        given = {name: values[0].decode() for name, values in pn.state.session_args.items()}
        state = ModelState(model=model(), text=given.get("text", TEXT))
        dashboard = Dashboard(state, fixed=True, dark="dark" in given, opened=given.get("view", SMALL))
        return theme.page([dashboard.bar.component, dashboard.body], title="txpanel", dark="dark" in given)

    model()
    with served(app) as found:
        yield found


@pytest.fixture
def show(address: str, new_tab: Callable[..., Tab]) -> Callable[..., Page]:
    def open_page(width: int = 1440, height: int = 900, **more: str) -> Page:
        page = new_tab(width, height, reduced_motion="reduce").page
        page.goto(f"{address}?{'&'.join(f'{key}={value}' for key, value in more.items())}", timeout=PATIENCE)
        page.locator(".flow[data-shows]").wait_for(timeout=PATIENCE)
        return page

    return open_page


def test_the_prediction_is_for_a_mask_token_and_another_one_can_be_chosen(show: Callable[..., Page]) -> None:
    page = show()
    flow, at = page.locator(".flow"), model().trace(TEXT).gaps
    expect(flow).to_have_attribute("data-shows", f"0/0/{at[0]}")
    expect(flow).to_contain_text("Masked token")
    expect(flow).to_contain_text("attends to tokens before and after")
    expect(flow).not_to_contain_text("Next token")
    flow.locator(f"[data-token='{at[1]}']").first.click()
    expect(flow).to_have_attribute("data-shows", f"0/0/{at[1]}")
    best = model().trace(TEXT).predicting(at[1]).tensor("logits").argmax()
    name = model().tokens([int(best)]).strings[0]
    expect(flow.locator("button.next").first).to_contain_text(name.strip() or name)
    flow.locator("[data-token='2']").first.click()
    expect(flow).to_contain_text("Token at this position")


def test_the_guide_finds_the_most_attended_key_on_both_sides_and_says_so(show: Callable[..., Page]) -> None:
    trace = model().trace(TEXT)
    pattern = trace.tensor("blocks.0.pattern")[0]
    query = next(q for q, row in enumerate(pattern) if int(row.argmax()) > q)
    page = show()
    flow = page.locator(".flow")
    flow.locator(f"[data-token='{query}']").first.click()
    expect(flow).to_have_attribute("data-shows", f"0/0/{query}")
    flow.dispatch_event("tx-guide", {})
    guide = page.get_by_role("dialog", name="What you see here")
    expect(guide).to_contain_text("from itself and the tokens before and after it")
    strings = [trace.tokens.strings[at].replace(" ", "␣") for at in (query, int(pattern[query].argmax()))]
    expect(guide).to_contain_text("“{}” attends to “{}”".format(*strings))
    expect(guide).to_contain_text("5 Masked token" if query in trace.gaps else "5 Token at this position")


@pytest.mark.sweep
def test_an_encoder_generates_nothing_and_says_so(show: Callable[..., Page]) -> None:
    page = show()
    expect(page.locator("header .fill")).to_be_visible()
    expect(page.get_by_role("button", name="Generate", exact=True)).to_have_count(
        0
    )  # what fills gaps stands in its place
    expect(page.locator("header.bar")).to_contain_text(
        "This model predicts masked tokens; it does not continue a text."
    )


@pytest.mark.sweep
def test_a_mask_token_is_inserted_at_the_cursor_and_the_drawn_token_fills_it(show: Callable[..., Page]) -> None:
    page = show(text="abcd")
    box = page.get_by_role("textbox", name="Prompt")
    box.focus()
    box.evaluate("(node) => node.setSelectionRange(1, 2)")
    page.get_by_role("button", name="Insert the mask token <mask> at the cursor").click()
    expect(box).to_have_value("a<mask>cd")
    box.press("Enter")
    flow = page.locator(".flow")
    expect(flow).to_contain_text("Masked token")
    expect(flow).to_have_attribute("data-shows", "0/0/2")
    page.get_by_role("button", name="Replace the mask with the drawn token").click()
    expect(flow).to_contain_text("Token at this position")
    expect(box).not_to_have_value("a<mask>cd")


@pytest.mark.sweep
def test_an_encoder_has_no_kv_cache(show: Callable[..., Page]) -> None:
    page = show(view="kv-cache")
    expect(page.get_by_text("This model attends in both directions").locator("visible=true").first).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_text("Without the cache")).to_have_count(0)
