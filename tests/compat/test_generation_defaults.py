"""The defaults of transformers' ``generate`` are those that it uses."""

from __future__ import annotations

import pytest
from transformers import GenerationConfig

from txpanel.compat.generation_defaults import generation_defaults


def test_a_new_configuration_still_leaves_them_open() -> None:
    """When this fails, a `GenerationConfig` states its values again: read them from there, drop `generation_defaults`."""
    assert GenerationConfig().top_k is None


def test_they_are_the_documented_ones() -> None:
    found = generation_defaults()
    assert (found["do_sample"], found["temperature"], found["top_k"], found["top_p"]) == (False, 1.0, 50, 1.0)


def test_without_the_list_a_configuration_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(GenerationConfig, "_get_default_generation_params")
    monkeypatch.setattr(GenerationConfig, "to_dict", lambda _self: {"top_k": 50})
    assert generation_defaults() == {"top_k": 50}
