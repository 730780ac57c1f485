"""Adapters are switched in “About this model”, by hand: the page runs the text anew and says what is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peft import LoraConfig
from playwright.sync_api import expect

from tests.families import tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from tests.tracing.test_adapters import LORA, stirred, with_lora
from tests.ui.conftest import PATIENCE, SMALL, Tab, served
from txpanel.models.language_model import LanguageModel
from txpanel.page import theme
from txpanel.page.dashboard import Dashboard
from txpanel.session.state import ModelState

pytestmark = PEFT_WARNS
states: list[ModelState] = []


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    module = with_lora()
    module.add_adapter("style", LoraConfig(**{**LORA, "target_modules": ["v_proj"]}))
    model = LanguageModel.wrap(stirred(module, 2), tiny_tokenizer(), name="two adapters")

    def app() -> Any:
        states.append(ModelState(model=model, text="hello a b"))
        dashboard = Dashboard(states[-1], fixed=True, opened=SMALL)
        return theme.page([dashboard.bar.component, dashboard.body], title="txpanel", dark=False)

    with served(app) as found:
        yield found


@pytest.mark.sweep
def test_each_adapter_has_a_switch(address: str, new_tab: Callable[..., Tab]) -> None:
    page = new_tab(reduced_motion="reduce").page
    page.goto(address, timeout=PATIENCE)
    page.locator(".flow[data-shows]").wait_for(timeout=PATIENCE)
    bar = page.get_by_role("banner")
    expect(bar).to_contain_text("Adapters on: default.", timeout=PATIENCE)
    for name, is_on, says in (("default", False, "All adapters are off."), ("style", True, "Adapters on: style.")):
        page.locator("button.about").click()
        switch = page.get_by_role("switch", name=name)
        expect(switch).to_be_checked(checked=not is_on)
        switch.press("Space")
        expect(bar).to_contain_text(says, timeout=PATIENCE)
        on = [name] if is_on else ["none"]
        assert states[-1].trace.provenance["adapters"].split(", ") == on
