"""What generating begins with on a page: usual settings, the model's own in a conversation, and nobody's choice is overridden."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import GenerationConfig

from tests.models.test_chat import talker  # noqa: F401 (a fixture)
from tests.sweeping import first
from txpanel.decoding.settings import OFF, USUAL
from txpanel.models.catalogue import find
from txpanel.models.language_model import LanguageModel
from txpanel.session.default_settings import usual_settings
from txpanel.session.state import ModelState

OWN = {"temperature": 0.6, "top_p": 0.95, "top_k": 20}


@pytest.fixture
def chatty(talker: LanguageModel) -> LanguageModel:  # noqa: F811
    talker.model.generation_config = GenerationConfig(do_sample=True, **OWN)
    return talker


def settings(state: ModelState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in USUAL if name != "seed"}


def expected(**values: float) -> dict[str, Any]:
    return {name: value for name, value in (OFF | values).items() if name != "seed"}


def test_a_page_begins_with_less_of_the_tail() -> None:
    assert {name: value for name, value in USUAL.items() if value != OFF[name]} == {"temperature": 0.7, "top_p": 0.9}
    assert usual_settings(None, False) == USUAL


def test_a_conversation_brings_the_models_own_and_takes_them_away(chatty: LanguageModel) -> None:
    state = ModelState(model=chatty, text="hi", usual=USUAL, **USUAL)
    assert settings(state) == expected(temperature=0.7, top_p=0.9)
    state.chat = True
    assert settings(state) == expected(**OWN)
    assert state.sampled is not None
    assert state.sampled.settings.temperature == OWN["temperature"]
    state.chat = False
    assert settings(state) == expected(temperature=0.7, top_p=0.9)


def test_what_somebody_has_set_stays(chatty: LanguageModel) -> None:
    state = ModelState(model=chatty, text="hi", usual=USUAL, **USUAL)
    state.temperature = 0.9
    state.chat = True
    assert settings(state) == expected(temperature=0.9, top_p=0.9)
    state.chat = False
    assert state.temperature == 0.9


def test_a_link_of_a_conversation_keeps_its_settings(chatty: LanguageModel) -> None:
    """`usual` is empty where an address says the settings: they are somebody's, also if they are the usual ones."""
    state = ModelState(usual={}, **USUAL)
    state.chat = True
    state.text = "hi"
    state.model = chatty
    assert settings(state) == expected(temperature=0.7, top_p=0.9)


def test_scripts_are_left_alone(chatty: LanguageModel) -> None:
    state = ModelState(model=chatty, text="hi")
    state.chat = True
    assert settings(state) == expected()


def test_a_config_that_does_not_draw_says_nothing(talker: LanguageModel) -> None:  # noqa: F811
    talker.model.generation_config = GenerationConfig(temperature=0.1)  # transformers' generate would be greedy
    assert usual_settings(talker, True) == USUAL
    assert usual_settings(talker, False) == USUAL


def test_smollm2_has_settings_of_its_own() -> None:
    entry = find("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert entry is not None
    assert dict(entry.settings) == {"temperature": 0.2, "top_p": 0.5}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("seed", first(2, [0, 1, 2, 7]))
def test_the_first_answer_is_a_sensible_one(seed: int, smollm2: LanguageModel) -> None:
    begin = USUAL | {"seed": seed}
    state = ModelState(model=smollm2, text="What is the capital of France?", usual=USUAL, **begin)
    state.chat = True
    state.generate(30)
    assert state.temperature == 0.2
    assert "Paris" in "".join(node.string for node in state.tree.nodes)
