"""A model without tokenizer is read by token ids, named by a function of the caller, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txpanel
from tests.families import tiny_hf, tiny_tokenizer
from txpanel.errors import BadText, EmptyText, TxpanelError, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.number_tokens import NumberTokens
from txpanel.page.top_bar.controller import Bar


def note(token: int) -> str:
    return f"{'CDEFGAB'[token % 7]}{token // 7}"


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.wrap(tiny_hf("llama"), token_text=note)


def test_numbers_are_the_text(model: LanguageModel) -> None:
    trace = model.trace("12 5 7")
    assert trace.tokens.ids.tolist() == [12, 5, 7]
    assert trace.tokens.strings == ["A1", "A0", "C1"]
    assert (trace.text, trace.tokens.exact) == ("12 5 7", True)
    assert model.trace([12, 5, 7]).text == "12 5 7"
    assert np.allclose(model.trace([12, 5, 7]).logits, trace.logits, atol=1e-4)
    assert LanguageModel.wrap(tiny_hf("llama")).trace([12, 5]).tokens.strings == ["12", "5"]


@given(
    st.lists(st.integers(0, 299), min_size=1, max_size=8),
    st.sampled_from([" ", ", ", "\n", ",", ";  "]),
    st.sampled_from(["", " ", "[", "\t"]),
)
def test_ids_are_read_however_they_are_divided(ids: list[int], between: str, begin: str) -> None:
    tokens, text = NumberTokens(300), begin + between.join(map(str, ids)) + "] "
    assert tokens(text)["input_ids"] == ids
    assert b"".join(tokens.read(ids, text).pieces).decode() == text
    assert tokens(b"".join(tokens.read(ids, begins=True).pieces).decode())["input_ids"] == ids


@pytest.mark.parametrize("text", ["hello", "1 two 3", "1.5", "0x41", "²", "1" * 5000, "-", "1e3", "12 \ud800"])
def test_what_is_no_number_is_a_sentence(model: LanguageModel, text: str) -> None:
    with pytest.raises(BadText, match="has no tokenizer: type token ids as numbers, such as “12 5 7”"):
        model.trace(text)


@pytest.mark.parametrize("text", ["300", "1 -2", "+1 999999999"])
def test_ids_beyond_the_table_are_a_sentence(model: LanguageModel, text: str) -> None:
    with pytest.raises(BadText, match="is not the id of a token of LlamaForCausalLM: its ids go from 0 to 299"):
        model.trace(text)


def test_no_numbers_are_no_text(model: LanguageModel) -> None:
    for text in ("", " , "):
        with pytest.raises(EmptyText):
            model.trace(text)


@pytest.mark.parametrize(
    "given",
    [
        lambda _: 1 / 0,
        lambda _: None,
        lambda _: 7,
        lambda _: "",
        lambda _: " ",
        lambda _: b"x",
        lambda: "x",
        lambda _: ["a"],
    ],
)
def test_a_function_that_fails_leaves_the_id(given: Any) -> None:
    assert LanguageModel.wrap(tiny_hf("llama"), None, token_text=given).trace("12 5").tokens.strings == ["12", "5"]


def test_odd_names_are_made_fit_to_be_shown() -> None:
    names = {1: "a\nb\x00", 2: "x" * 10_000, 3: "\ud800", 4: "<script>"}
    strings = LanguageModel.wrap(tiny_hf("llama"), token_text=names.__getitem__).trace([1, 2, 3, 4, 5]).tokens.strings
    assert strings[0] == "a↵b⟨U+0000⟩"
    assert len(strings[1]) == 60
    assert strings[2:] == ["⟨ED A0 80⟩", "<script>", "5"]


def test_what_is_no_tokenizer_is_a_sentence() -> None:
    hf = tiny_hf("llama")
    for wrong in ("gpt2", 7, note, {}):
        with pytest.raises(Unsupported, match="in this order"):
            LanguageModel.wrap(hf, wrong)
    with pytest.raises(Unsupported, match="must be a function"):
        LanguageModel.wrap(hf, token_text="a")
    with pytest.raises(Unsupported, match="one of the two"):
        LanguageModel.wrap(hf, tiny_tokenizer(), token_text=note)
    assert LanguageModel.wrap(hf, tiny_tokenizer().backend_tokenizer).trace("hi").text == "hi"


def test_generation_and_saved_traces(model: LanguageModel, tmp_path: Path) -> None:
    steps = list(txpanel.generate(model, "12 5 7", max_new_tokens=3, temperature=1.0))
    assert len(steps[-1].trace.tokens) == 6
    assert model.ids(steps[-1].trace.text) == steps[-1].trace.tokens.ids.tolist()
    assert steps[0].string == note(steps[0].token)
    steps[-1].trace.save(tmp_path / "run.safetensors")
    again = txpanel.open_trace(tmp_path / "run.safetensors")
    assert again.tokens.strings == steps[-1].trace.tokens.strings
    assert again.text == steps[-1].trace.text


def test_a_session_and_its_link(model: LanguageModel) -> None:
    state = txpanel.ModelState(model=model, text="12 5 7")
    state.generate(2)
    state.wait()
    assert state.error in (None, "")
    assert state.text.startswith("12 5 7 ")
    assert model.ids(state.text) == state.trace.tokens.ids.tolist()
    state.text = "12 five"
    state.wait()
    assert "type token ids as numbers" in state.error
    state.text = "3 4"
    state.wait()
    assert state.trace.tokens.ids.tolist() == [3, 4]
    assert not state.error


def test_the_page_says_what_to_type(model: LanguageModel) -> None:
    bar = Bar(lambda _system: None)
    bar.attach(txpanel.ModelState(model=model, text="12 5 7"))
    info = bar.component.info
    assert info["reads"] == "This model has no tokenizer: type token ids as numbers, such as “12 5 7”."
    assert info["reads"] in info["reason"]
    assert info["examples"] == [("12 5 7", "12 5 7")]
    assert info["chat"] is None
    bar.close()


@pytest.mark.sweep
def test_every_view_shows_it(model: LanguageModel, tmp_path: Path) -> None:
    page = txpanel.explain("12 5 7", model=model)
    page.save(tmp_path / "page.html")
    shown = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "A1" in shown
    assert "Traceback" not in shown


def test_errors_are_sentences() -> None:
    assert issubclass(BadText, TxpanelError)
