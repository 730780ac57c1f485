"""What somebody who has just read the README may get wrong in Python: each is a sentence that says how it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import txpanel
from tests.families import tiny_hf, tiny_tokenizer
from txpanel.errors import BadText, TxpanelError, Unsupported
from txpanel.models.language_model import LanguageModel


@pytest.fixture(scope="module")
def module() -> Any:
    return tiny_hf("llama")


NOT_OPENED: dict[str, Callable[[Any], object]] = {
    "record": lambda module: txpanel.record(module, "a text"),
    "generate": lambda module: txpanel.generate(module, "a text"),
    "beam_search": lambda module: txpanel.beam_search(module, "a text"),
    "explain": lambda module: txpanel.explain("a text", model=module),
}


@pytest.mark.parametrize("name", NOT_OPENED)
def test_a_module_that_was_not_wrapped(name: str, module: Any) -> None:
    with pytest.raises(
        Unsupported, match=r"a LlamaForCausalLM, not a model .* LanguageModel\.wrap\(model, tokenizer\)"
    ):
        NOT_OPENED[name](module)


def test_load_of_a_module(module: Any) -> None:
    with pytest.raises(TxpanelError, match=r"a name or a path\. LanguageModel\.wrap"):
        txpanel.load(module)


def test_what_explain_shows(module: Any) -> None:
    model = LanguageModel.wrap(module, tiny_tokenizer())
    for given in ([5, 6], 7, None, model):
        with pytest.raises(BadText, match=r"explain\(model\.trace\(ids\)\)"):
            txpanel.explain(given, model=model)  # type: ignore[arg-type]


def test_neither_a_text_nor_inputs(module: Any) -> None:
    model = LanguageModel.wrap(module, tiny_tokenizer())
    for run in (model.trace, lambda: txpanel.generate(model)):
        with pytest.raises(BadText, match="needs either a text or inputs"):
            run()


def test_weights_of_several_types() -> None:
    made = tiny_hf("llama")
    made.lm_head.to(torch.bfloat16)
    if made.lm_head.weight is made.get_input_embeddings().weight:
        made.model.layers[0].to(torch.bfloat16)
    with pytest.raises(Unsupported, match=r"several types: bfloat16, float32\. Convert them to one .*model\.to\("):
        LanguageModel.wrap(made, tiny_tokenizer())
    assert LanguageModel.wrap(made.to(torch.float32), tiny_tokenizer()).trace("a text").stale is None
