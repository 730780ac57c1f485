"""Pieces join to the text, whatever kind of tokenizer cut it, or `exact` says that they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import ByT5Tokenizer, CanineTokenizer, PreTrainedTokenizer, PreTrainedTokenizerFast

import txpanel
from tests.families import tiny, tiny_hf, tiny_tokenizer
from txpanel.errors import BadText
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import read_tokens, token_ids

LETTERS = "abcdefghijklmnopqrstuvwxyzHT"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["the", "▁the", "▁t", "th", "he", "▁▁", "e▁"]


def fast(backend: Tokenizer, **marks: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=backend, **marks)


def sentencepiece(begin: bool = True) -> PreTrainedTokenizerFast:
    """Llama 2's kind: a blank before everything, bytes for what is not in the vocabulary."""
    pieces = ["<unk>", "<s>", "</s>", *BYTES, "▁", *LETTERS, "▁the", "▁t", "th", "the", "he"]
    merges = [("t", "h"), ("h", "e"), ("th", "e"), ("▁", "t"), ("▁", "the")]
    backend = Tokenizer(
        models.BPE(
            vocab={p: n for n, p in enumerate(pieces)},
            merges=merges,
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    if begin:
        backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    backend.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in ("<unk>", "<s>", "</s>")])
    return fast(backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def unigram(
    scheme: str, *, fallback: bool = False, normalizer: Any = None, decoder: bool = True
) -> PreTrainedTokenizerFast:
    entries = [("<unk>", 0.0), ("</s>", 0.0), ("▁", -3.0), *((c, -4.0) for c in LETTERS), *((w, -2.0) for w in WORDS)]
    entries += [(byte, -9.0) for byte in BYTES] if fallback else [("<0x41>", -5.0), ("é", -4.0)]
    backend = Tokenizer(models.Unigram(entries, 0, fallback))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    if decoder:
        last = decoders.Metaspace(prepend_scheme=scheme)
        backend.decoder = decoders.Sequence([decoders.ByteFallback(), last]) if fallback else last
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    backend.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in ("<unk>", "</s>")])
    return fast(backend, unk_token="<unk>", eos_token="</s>")


def wordpiece(*, lowercase: bool = False) -> PreTrainedTokenizerFast:
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *LETTERS,
        *(f"##{c}" for c in LETTERS),
        "the",
        "hello",
        "world",
        "##ing",
        ",",
        ".",
        "!",
        "'",
    ]
    backend = Tokenizer(models.WordPiece(vocab={w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in words[:4]])
    backend.add_special_tokens([AddedToken("[MASK]", special=True, lstrip=True, normalized=False)])
    return fast(
        backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]"
    )


def word_level(decoder: Any = None) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "a": 2, "!": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if decoder is not None:
        backend.decoder = decoder
    return fast(backend, unk_token="<unk>")


def ends_of_words() -> PreTrainedTokenizerFast:
    """GPT-1's kind: words end with a mark."""
    entries = ["<unk>", *LETTERS, *(f"{c}</w>" for c in LETTERS), "the</w>", "th"]
    merges = [("t", "h"), ("th", "e</w>")]
    backend = Tokenizer(
        models.BPE(
            vocab={p: n for n, p in enumerate(entries)}, merges=merges, unk_token="<unk>", end_of_word_suffix="</w>"
        )
    )
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Whitespace(), decoders.BPEDecoder()
    return fast(backend, unk_token="<unk>")


def byte_level(*, prefix: bool = False, trim: bool = False, normalizer: Any = None) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<s>": 0, **{c: n + 1 for n, c in enumerate(alphabet)}, "Ġt": 257, "Ġth": 258}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[("Ġ", "t"), ("Ġt", "h")]))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder, backend.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=trim)
    backend.add_special_tokens([AddedToken("<s>", special=True)])
    backend.add_tokens([
        AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True), AddedToken("<word>", single_word=True), AddedToken("Norm", normalized=True),
    ])  # fmt: skip
    return fast(backend, bos_token="<s>")


KEEPING: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "sentencepiece": sentencepiece,
    **{f"unigram {scheme}": lambda scheme=scheme: unigram(scheme) for scheme in ("always", "first", "never")},
    "unigram, bytes": lambda: unigram("always", fallback=True),
    "unigram, no decoder": lambda: unigram("always", decoder=False),
    "wordpiece": wordpiece,
    "words": word_level,
    "words, decoder": lambda: word_level(decoders.WordPiece()),
    "ends of words": ends_of_words,
    "bytes": byte_level,
    "bytes, blank before": lambda: byte_level(prefix=True),
    "bytes, trimmed": lambda: byte_level(prefix=True, trim=True),
}  # fmt: skip
CHANGING: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "wordpiece, lowercase": lambda: wordpiece(lowercase=True),
    "unigram, NFKC": lambda: unigram("always", normalizer=normalizers.NFKC()),
    "bytes, NFKC and lowercase": lambda: byte_level(
        normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    ),
    "unigram, strip": lambda: unigram(
        "first", normalizer=normalizers.Sequence([normalizers.Strip(), normalizers.Replace("e", "the")])
    ),
}
BUILT: dict[str, PreTrainedTokenizerFast] = {}
TEXTS = ["the the", "  the", "Hthe", "the  ", "a  b", " ", "thethe he", "the\tthe\n", "hello, world!", "hello   worlding", "x<0x41>y", "日 é", "a\u00a0b",
         "<s>a<s>the", "a </s> the</s>", "[MASK] the [MASK]a", "a  <left>  b<right>   c", "Norm x<word> <word>", "\U0001f469\u200d\U0001f467 the",
         "[UNK]<unk>", "don't ."]  # fmt: skip


def read(kind: str, text: str) -> tuple[list[int], txpanel.models.tokens.Tokens]:
    tokenizer = BUILT.setdefault(kind, {**KEEPING, **CHANGING}[kind]()) if kind not in BUILT else BUILT[kind]
    ids = tokenizer(text)["input_ids"]
    return ids, read_tokens(tokenizer, ids, text)


@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_exactly(kind: str, text: str) -> None:
    ids, tokens = read(kind, text)
    if not [piece for piece in tokens.pieces if piece]:
        assert not text.strip() or not ids
        return
    assert b"".join(tokens.pieces).decode() == text, tokens
    assert tokens.exact
    assert len(tokens.pieces) == len(tokens.strings) == len(ids)


@given(
    st.sampled_from([*KEEPING, *CHANGING]),
    st.text(st.sampled_from("theHT a\t\n  é日ﬁ\u00a0👩'.,<s>[MASK]0x41\x00\u0301"), max_size=14),
)
@examples(max_examples=250)
def test_any_text_is_exact_or_said_not_to_be(kind: str, text: str) -> None:
    ids, tokens = read(kind, text)
    assert len(tokens) == len(ids) == len(tokens.pieces)
    assert tokens.exact == (b"".join(tokens.pieces) == text.encode())
    assert read_tokens(BUILT[kind], ids, begins=True).exact


def test_what_a_tokenizer_has_changed_is_shown_as_changed() -> None:
    _ids, tokens = read("wordpiece, lowercase", "Hello, World")
    assert not tokens.exact
    assert [p.decode() for p in tokens.pieces] == ["", "hello", ",", " world", ""]
    _ids, tokens = read("unigram, NFKC", "ﬁ the")
    assert (b"".join(tokens.pieces).decode(), tokens.exact) == ("fi the", False)
    assert read("wordpiece, lowercase", "hello, world")[1].exact


def test_pieces_are_where_their_characters_are() -> None:
    assert [p.decode() for p in read("wordpiece", "the  thing")[1].pieces] == ["", "the", "  t", "h", "ing", ""]
    assert read("wordpiece", "hing")[1].strings == ["[CLS]", "h", "##ing", "[SEP]"]
    assert [p.decode() for p in read("sentencepiece", "a<s>the")[1].pieces] == ["", "", "a", "<s>", "the"]
    _ids, tokens = read("sentencepiece", "é")
    assert tokens.pieces == [b"", b"", b"\xc3", b"\xa9"]
    assert tokens.strings == ["<s>", " ", "⟨C3⟩", "⟨A9⟩"]
    assert [p.decode() for p in read("words", "the cat!")[1].pieces] == ["the", " cat", "!"]
    assert read("words", "the cat!")[1].strings[1] == "<unk>"


def test_an_entry_that_looks_like_a_byte_is_text_without_byte_fallback() -> None:
    tokenizer = unigram("never")
    one = tokenizer.convert_tokens_to_ids("<0x41>")
    assert read_tokens(tokenizer, [one]).pieces == [b"<0x41>"]
    assert read_tokens(sentencepiece(), [sentencepiece().convert_tokens_to_ids("<0x41>")]).pieces == [b"A"]


@pytest.mark.parametrize(
    "kind", ["sentencepiece", "unigram always", "unigram first", "unigram never", "words", "ends of words", "bytes"]
)
@pytest.mark.parametrize("text", ["the", " the the", "the a the"])
def test_ids_alone_give_what_the_tokenizer_decodes(kind: str, text: str) -> None:
    ids, _tokens = read(kind, text)
    alone = read_tokens(BUILT[kind], ids, begins=True)
    right = BUILT[kind].decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert b"".join(alone.pieces).decode().rstrip() == right.rstrip()


def test_a_token_in_the_middle_of_a_text_keeps_its_blank() -> None:
    tokenizer = sentencepiece()
    the = tokenizer.convert_tokens_to_ids("▁the")
    assert read_tokens(tokenizer, [the]).pieces == [b" the"]
    assert read_tokens(tokenizer, [1, the], begins=True).pieces == [b"", b"the"]
    assert read_tokens(wordpiece(), [wordpiece().convert_tokens_to_ids("the")]).pieces == [b" the"]


def test_tokens_that_are_added_later_are_seen() -> None:
    tokenizer = byte_level()
    assert read_tokens(tokenizer, [len(tokenizer)]).pieces == [b""]
    tokenizer.add_tokens(["<new>"])
    assert read_tokens(tokenizer, [len(tokenizer) - 1]).pieces == [b"<new>"]


@pytest.mark.parametrize(
    "source",
    [
        [5, -1],
        [5, 300],
        np.array([7, 10**9]),
        torch.tensor([[3, 300]]),
        [1.5],
        ["a"],
        [True],
        7,
        None,
        [[1, 2], [3, 4]],
        [None],
    ],
)
def test_ids_that_are_none_are_a_sentence(source: Any) -> None:
    model = tiny("llama")
    for step in (
        model.trace,
        lambda ids: txpanel.record(model, ids),
        lambda ids: next(txpanel.generate(model, ids, max_new_tokens=1)),
    ):
        with pytest.raises(
            BadText,
            match=r"not the id of a token of LlamaForCausalLM|tiny-llama: its ids go from 0 to 299|whole numbers|needs either a text",
        ):
            step(source)


def test_ids_of_any_kind_are_taken() -> None:
    model = tiny("llama")
    assert model.trace(torch.tensor([[5, 6, 7]])).tokens.ids.tolist() == [5, 6, 7]
    assert model.trace(np.array([5, 6], np.int32)).tokens.ids.tolist() == [5, 6]
    assert token_ids(range(3)) == [0, 1, 2]


def test_a_tokenizer_larger_than_the_table_opens_and_says_which_token_is_too_many() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"<extra {n}>" for n in range(50)])
    model = LanguageModel.wrap(tiny_hf("llama"), tokenizer)
    assert model.trace("hi").text == "hi"
    with pytest.raises(BadText, match="“<extra 49>” has the id 308, and the embedding matrix has 300 rows"):
        model.trace("hi <extra 49>")
    state = txpanel.ModelState(model=model, text="hi <extra 49>")
    assert "<extra 49>" in str(state.error)


class Words(PreTrainedTokenizer):
    """A slow tokenizer: words that blanks divide, joined by blanks."""

    vocab = ("<unk>", "the", "cat", "sat")

    @property
    def vocab_size(self) -> int:
        return len(self.vocab)

    def get_vocab(self) -> dict[str, int]:
        return {word: n for n, word in enumerate(self.vocab)}

    def _tokenize(self, text: str, **_more: Any) -> list[str]:
        return text.split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab().get(token, 0)

    def _convert_id_to_token(self, index: int) -> str:
        return self.vocab[index]


@pytest.mark.parametrize("text", ["hello wörld 日", "  two  ", "a</s>b", "<0x41>"])
@pytest.mark.parametrize("kind", [ByT5Tokenizer, CanineTokenizer])
def test_slow_tokenizers_give_the_exact_bytes(kind: Any, text: str) -> None:
    tokenizer = kind()
    tokens = read_tokens(tokenizer, list(tokenizer(text)["input_ids"]), text)
    assert tokens.exact
    assert b"".join(tokens.pieces).decode() == text


def test_a_slow_tokenizer_that_joins_words() -> None:
    model = LanguageModel.wrap(tiny_hf("llama"), Words(unk_token="<unk>"))
    trace = model.trace("the cat  sat")
    assert (trace.text, trace.tokens.exact) == ("the cat  sat", True)
    assert trace.tokens.strings == ["the", "cat", "sat"]
    assert model.trace([1, 2]).text == "the cat"
    odd = model.trace("the dog sat")
    assert odd.tokens.exact == (odd.text == "the dog sat")


def test_what_a_tokenizer_does_not_take_is_a_sentence() -> None:
    with pytest.raises(BadText, match="does not accept this text"):
        tiny("llama").trace("half \ud800 a pair")
