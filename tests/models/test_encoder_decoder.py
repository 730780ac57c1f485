"""An encoder-decoder reads a text and writes another: what runs, what it begins with, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

import txpanel
from tests.encoder_decoders import BART, ENCODER_DECODERS, tiny_pair, tiny_pair_hf
from tests.families import tiny, tiny_tokenizer
from tests.sweep.configs import PAIR, model_of
from txpanel.errors import BadText, EmptyText, TooLong, TxpanelError, Unsupported
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


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [([], EmptyText, "start is empty"), (5, BadText, "whole numbers"), ("ab", BadText, "whole numbers")],
)
def test_a_start_that_is_none_is_refused_in_words(start: Any, error: type[TxpanelError], words: str) -> None:
    model = tiny_pair("t5")
    with pytest.raises(error, match=words):
        model.having_read(TEXT, start=start)
    assert model.having_read(TEXT, start=torch.tensor([0, 7])).start == [0, 7]
    with pytest.raises(BadText, match="from 0 to 299"):
        (reading := model.having_read(TEXT, start=[300])).trace(reading.start)


def test_ids_of_the_decoder_among_inputs_are_refused_with_the_way_to_give_them() -> None:
    ids = torch.tensor([[5, 6, 7]])
    model = tiny_pair("bart")
    with pytest.raises(Unsupported, match=r"not “decoder_input_ids”.*having_read"):
        model.trace(inputs={"input_ids": ids, "decoder_input_ids": ids})
    trace = model.trace(inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert trace.source is not None
    assert trace.source.tokens.ids.tolist() == [5, 6, 7]


def test_each_side_has_the_ids_of_its_own_table() -> None:
    """Marian's decoder may have another vocabulary than its encoder."""
    settings = {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 400, "tie_word_embeddings": False}
    module = tiny_pair_hf("marian", **settings)
    with torch.no_grad():
        module.final_logits_bias[0, 350] = 1e4  # an id that only the decoder has
    model = LanguageModel.wrap(module, tiny_tokenizer())
    ids = torch.tensor([model.encode(TEXT)])
    with torch.inference_mode():
        own = module.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)[0].tolist()
    assert own == [0, 350, 350, 350, 350]
    steps = list(txpanel.generate(model, TEXT, max_new_tokens=4, temperature=0.0))
    assert [step.token for step in steps] == own[1:]
    assert (model.rows, model.having_read(TEXT).rows) == (300, 400)
    with pytest.raises(BadText, match="from 0 to 299"):
        model.trace([350])
    with pytest.raises(BadText, match="from 0 to 399"):
        model.having_read(TEXT).trace([0, 400])


def test_a_source_that_an_encoder_of_berts_kind_has_no_room_for_is_refused_in_words() -> None:
    model = LanguageModel.wrap(model_of("encoder-decoder" + PAIR), tiny_tokenizer())
    assert model.trace("a" * 128).source is not None
    with pytest.raises(TooLong, match="129 tokens, and the encoder of EncoderDecoderModel can read 128"):
        model.trace("a" * 129)


def lowering(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer that lowercases and drops blanks, as BERT's (WordPiece) or as T5's and Marian's (Unigram) are built."""
    if kind == "wordpiece":
        words = {word: n for n, word in enumerate(("<pad>", "</s>", "[UNK]", "hello", "world", "##lo", "hel"))}
        backend = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
        backend.normalizer, backend.decoder = normalizers.BertNormalizer(lowercase=True), decoders.WordPiece()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁hello", -1.0), ("▁world", -1.0), ("▁", -2.0)]
        backend = Tokenizer(models.Unigram(pieces, unk_id=2))
        one_blank = normalizers.Replace(Regex(" {2,}"), " ")
        backend.normalizer, backend.decoder = (
            normalizers.Sequence([normalizers.Lowercase(), one_blank]),
            decoders.Metaspace(),
        )
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")


@pytest.mark.parametrize(("family", "kind"), [("t5", "unigram"), ("marian", "unigram"), ("bart", "wordpiece")])
def test_a_source_is_shown_as_it_was_typed_where_another_has_the_same_ids(family: str, kind: str) -> None:
    model = LanguageModel.wrap(tiny_pair_hf(family), lowering(kind))
    for text in ("hello world", "hello  world", "HELLO World", "hello world"):
        reading = model.having_read(text)
        shown = model.tokens(model.encode(text), text, begins=True).pieces
        assert text != text.lower() or b"".join(shown).decode() == text
        for trace in (model.trace(text), reading.trace(reading.start), reading.now().trace(reading.start)):
            assert trace.source is not None
            assert trace.source.tokens.pieces == shown
            assert trace.source.tokens.ids.tolist() == [3, 4, 1]
    again, other = model.having_read("hello world"), model.having_read("hello  world")
    assert again is model.having_read("hello world")
    assert torch.equal(again.trace(again.start).tensor("logits"), other.trace(other.start).tensor("logits"))
