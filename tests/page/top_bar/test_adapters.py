"""Adapters are switched on the page, for one session: the run that follows is that of the model with these alone."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from peft import LoraConfig

from tests.families import tiny, tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from tests.tracing.test_adapters import LORA, own_logits, stirred, with_lora
from txpanel.models.language_model import LanguageModel
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState

pytestmark = PEFT_WARNS


@pytest.fixture(scope="module")
def peft_model() -> Any:
    module = with_lora()
    module.add_adapter("style", LoraConfig(**{**LORA, "target_modules": ["v_proj"]}))
    return stirred(module, 2)


def test_a_switch_runs_the_text_anew_with_what_is_on(peft_model: Any) -> None:
    model = LanguageModel.wrap(peft_model, tiny_tokenizer(), name="two")
    state, bar = ModelState(model=model, text="hello a b"), Bar(on_theme=lambda _system: None)
    bar.attach(state)
    others = ModelState(model=model, text="hello a b")

    def shown() -> dict[str, bool]:
        return {one["name"]: one["on"] for one in bar.component.info["about"]["adapters"]["list"]}

    assert shown() == {"default": True, "style": False}
    for on in ([], ["style"], ["style", "default"], ["default"]):
        bar._on_message({"kind": "adapters", "on": on})
        assert state.error is None
        assert {name for name, there in shown().items() if there} == set(on)
        assert set(state.trace.provenance["adapters"].split(", ")) == (set(on) or {"none"})
        assert ("All adapters are off" in bar.component.info["reason"]) == (not on)
        with ExitStack() as stack:
            if on:
                peft_model.base_model.set_adapter(state.trace.provenance["adapters"].split(", "))
            else:
                stack.enter_context(peft_model.disable_adapter())
            expected = own_logits(peft_model, state.trace)
        peft_model.base_model.set_adapter("default")
        assert torch.allclose(state.trace.tensor("logits"), expected, atol=1e-5)
    assert state.text == "hello a b"
    assert state.model_name == "two"
    assert others.trace.provenance["adapters"] == "default"


def test_what_a_browser_makes_up_switches_nothing(peft_model: Any) -> None:
    model = LanguageModel.wrap(peft_model, tiny_tokenizer())
    state, bar = ModelState(model=model, text="hello a b"), Bar(on_theme=lambda _system: None)
    bar.attach(state)
    for on in (None, "style", {"style": 1}, 3):
        bar._on_message({"kind": "adapters", "on": on})
        assert state.trace.provenance["adapters"] == "default"
    bar._on_message({"kind": "adapters", "on": ["style", "style", "no such one", ["style"], 5]})
    assert state.trace.provenance["adapters"] == "style"


def test_one_that_is_merged_can_not_be_switched_and_others_have_no_switch() -> None:
    module = with_lora()
    module.merge_adapter()
    bar = Bar(on_theme=lambda _system: None)
    bar.attach(ModelState(model=LanguageModel.wrap(module, tiny_tokenizer()), text="hello a b"))
    assert "merged" in bar.component.info["about"]["adapters"]["why"]
    plain = Bar(on_theme=lambda _system: None)
    plain.attach(ModelState(model=tiny("llama"), text="hello a b"))
    assert plain.component.info["about"]["adapters"] == {}
    plain._on_message({"kind": "adapters", "on": ["style"]})
