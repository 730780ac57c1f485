"""A single call can look attention up under another name, and the model keeps its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from txpanel.compat.attention_choice import attention_by
from txpanel.models.language_model import LanguageModel


def test_modules_still_read_the_name_from_there(tiny: Callable[[str], LanguageModel]) -> None:
    """When this fails, transformers reads it elsewhere: a replay would run the model's own function and hear nothing."""
    model = tiny("llama")
    config = model.model.config
    own = config._attn_implementation
    ids = model.tokenizer("CB", return_tensors="pt").input_ids
    with attention_by(config, "a name that nobody has registered") as before:
        assert before == own
        with pytest.raises(KeyError, match="a name that nobody has registered"):
            model.model(input_ids=ids, use_cache=False)
    assert config._attn_implementation == own
    model.model(input_ids=ids, use_cache=False)
