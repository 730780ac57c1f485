"""An encoder-decoder reads a text and writes another: what runs, what it begins with, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

import txpanel
from tests.encoder_decoders import BART, ENCODER_DECODERS, tiny_pair, tiny_pair_hf
from tests.families import tiny, tiny_tokenizer
from txpanel.errors import EmptyText, TooLong, Unsupported
from txpanel.models.language_model import LanguageModel

TEXT = "hello wörld"


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_everything_of_the_decoder_is_open(family: str) -> None:
    model = tiny_pair(family)
    assert [part.name for part in model.report().opaque] == ["encoder"], str(model.report())
    assert [part.name for part in model.report() if part.name.startswith("blocks.0")] == [
        "blocks.0.mixer",
        "blocks.0.cross",
        "blocks.0.mlp",
    ]
    assert all((part.difference or 0.0) < 1e-5 for part in model.report())


def test_a_text_is_read_by_the_encoder_and_the_decoder_begins_with_its_start_token() -> None:
    model = tiny_pair("bart")
    trace = model.trace(TEXT)
    assert trace.source is not None
    assert trace.source.text == TEXT
    assert trace.tokens.ids.tolist() == [2]
    encoder = tiny_pair_hf("bart").get_encoder()
    with torch.inference_mode():
        expected = encoder(input_ids=torch.tensor([trace.source.tokens.ids.tolist()])).last_hidden_state[0]
    assert torch.allclose(trace.source.state, expected, atol=1e-6)
    assert torch.equal(trace.tensor("encoder.state"), trace.source.state)
    assert trace.tensor("encoder.tokens").tolist() == model.encode(TEXT)


def test_a_token_that_must_come_first_is_there_from_the_start() -> None:
    module = tiny_pair_hf("mbart")
    module.generation_config.forced_bos_token_id = 7
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert model.trace(TEXT).tokens.ids.tolist() == [2, 7]
    assert model.having_read(TEXT, start=[2, 9]).start == [2, 9]
    assert txpanel.generate(model, TEXT, max_new_tokens=1, temperature=0.0).__next__().before.tokens.ids.tolist() == [
        2,
        7,
    ]


def test_the_same_text_is_the_same_reading_and_another_one_is_not() -> None:
    model = tiny_pair("t5")
    reading = model.having_read(TEXT)
    assert model.having_read(TEXT) is reading
    assert model.having_read("another") is not reading
    assert reading.having_read("another") is model.having_read("another")
    assert reading.trace([0, 5, 6]).tokens.ids.tolist() == [0, 5, 6]
    assert reading.now() is reading


def test_a_changed_model_reads_its_source_anew() -> None:
    module = tiny_pair_hf("marian")
    model = LanguageModel.wrap(module, tiny_tokenizer())
    before = model.trace(TEXT)
    with torch.no_grad():
        module.model.encoder.layers[0].fc1.weight.mul_(1.5)
    after = model.trace(TEXT)
    assert before.stale
    assert before.source is not None
    assert after.source is not None
    assert not torch.allclose(before.source.state, after.source.state)
    with torch.inference_mode():
        ids = torch.tensor([after.source.tokens.ids.tolist()])
        expected = module(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, -1]
    assert torch.allclose(after.tensor("logits"), expected, atol=1e-5)


def test_an_edit_that_no_counter_sees_is_noticed_in_the_encoder_too() -> None:
    module = tiny_pair_hf("marian")
    model = LanguageModel.wrap(module, tiny_tokenizer())
    model.trace(TEXT)
    module.model.encoder.layers[0].fc1.weight.data.numpy()[:] *= 1.5
    trace = model.trace(TEXT)
    with torch.inference_mode():
        ids = torch.tensor([model.encode(TEXT)])
        expected = module(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), expected, atol=1e-5)


def test_texts_that_can_t_be_read_are_refused_in_words() -> None:
    model = tiny_pair("bart")
    with pytest.raises(EmptyText, match="read"):
        model.trace("")
    with pytest.raises(TooLong, match="65 tokens, and the encoder of tiny-bart can read 64"):
        model.trace("a" * 65)
    with pytest.raises(Unsupported, match="continues the text"):
        tiny("llama").having_read("a")


def test_a_model_without_its_head_is_refused_in_words() -> None:
    module = AutoModel.from_config(AutoConfig.for_model("bart", **BART))
    with pytest.raises(Unsupported, match="AutoModelForSeq2SeqLM"):
        LanguageModel.wrap(module, tiny_tokenizer())


def test_a_folder_with_an_encoder_decoder_opens(tmp_path: Path) -> None:
    tiny_pair_hf("t5").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model = txpanel.load(str(tmp_path))
    assert model.pair is not None
    assert torch.allclose(model.trace(TEXT).tensor("logits"), tiny_pair("t5").trace(TEXT).tensor("logits"), atol=1e-4)
