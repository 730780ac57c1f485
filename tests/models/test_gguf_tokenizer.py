"""The tokenizer of a GGUF file gives the ids that the original gives, or the file is refused."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Tokenizer, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.models import ggufmodels
from txpanel.errors import BadFile, TxpanelError, Unsupported
from txpanel.models.sources import gguf_tokenizer
from txpanel.models.sources.convert import read
from txpanel.models.tokens import read_tokens

SPELLED = bytes_to_unicode()
TEXTS = [
    "hello 2024 12345",
    "don't they'LL",
    " the  the\n\n  x",
    "日本 e\u0301 ﬁ",
    "<|end|>the<think>x",
    "a\r\nb\t c",
    "1/2 ... !!\n/x",
    "XMLHttpRequest ÄÖ",
]


def merged() -> tuple[list[str], list[tuple[str, str]]]:
    """A byte vocabulary with merges that cross from digits to digits, letters to signs and blanks to words, so that each way of cutting shows."""
    entries, merges = [SPELLED[byte] for byte in range(256)], list[tuple[str, str]]()
    for left, right in [
        "12",
        "34",
        "he",
        "th",
        "Ġt",
        ("Ġt", "he"),
        "'t",
        "'s",
        "ĊĊ",
        "ĠĠ",
        "20",
        ("20", "24"),
        "ll",
        "LL",
        "..",
        "!!",
        "/x",
        "XM",
        "Ml",
        "tt",
        "Ġ1",
        "ĊĠ",
        "!Ċ",
    ]:
        if left in entries and right in entries:
            merges.append((left, right))
            entries.append(left + right)
    return entries, merges


def written(path: Path, pre: str | None, *, architecture: str = "llama", **more: Any) -> Any:
    """The tokenizer made of a file with this name for its way of cutting."""
    entries, merges = merged()

    def vocabulary(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model(more.get("model", "gpt2"))
        if pre is not None:
            writer.add_tokenizer_pre(pre)
        writer.add_token_list([*entries, "<|end|>", "<think>"])
        writer.add_token_types(more.get("types", [1] * len(entries) + [3, 4]))
        if more.get("merges", merges) is not None:
            writer.add_token_merges(more.get("merges", [" ".join(pair) for pair in merges]))
        writer.add_bos_token_id(more.get("bos", len(entries)))
        if "add_bos" in more:
            writer.add_add_bos_token(more["add_bos"])
        writer.add_chat_template("{{ messages }}")

    name = architecture if architecture in ggufmodels.FAMILIES else "llama"
    source = ggufmodels.model(name)
    return gguf_tokenizer.tokenizer(read(ggufmodels.write(path, name, source, vocabulary=vocabulary)))


def original(kind: str) -> Any:
    """The family's own tokenizer over the same vocabulary, from transformers or as its published tokenizer.json is built."""
    entries, merges = merged()
    vocabulary = {entry: n for n, entry in enumerate([*entries, "<|end|>", "<think>"])}
    if kind in ("gpt2", "qwen2"):
        made = {"gpt2": GPT2Tokenizer, "qwen2": Qwen2Tokenizer}[kind](vocab=vocabulary, merges=merges)
        return made.backend_tokenizer
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return backend


@pytest.mark.parametrize(
    ("pre", "kind", "architecture"),
    [("gpt-2", "gpt2", "llama"), (None, "gpt2", "gpt2"), ("qwen2", "qwen2", "llama"), ("smollm", "digits", "llama")],
)
def test_ids_are_the_originals(tmp_path: Path, pre: str | None, kind: str, architecture: str) -> None:
    ours, own = written(tmp_path / "m.gguf", pre, architecture=architecture), original(kind)
    for text in TEXTS:
        plain = text.replace("<|end|>", "").replace("<think>", "")
        assert ours(plain, add_special_tokens=False)["input_ids"] == own.encode(plain, add_special_tokens=False).ids, (
            plain
        )
        assert read_tokens(ours, ours(text)["input_ids"], text).exact == (kind != "qwen2" or "\u0301" not in text)


def test_llama_3_cuts_digits_in_threes_and_begins_with_its_mark(tmp_path: Path) -> None:
    made = written(tmp_path / "m.gguf", "llama-bpe")
    cut = [part for part, _span in made.backend_tokenizer.pre_tokenizer.pre_tokenize_str("don't 12345!\n\nx")]
    assert cut == ["don", "'t", "Ġ", "123", "45", "!ĊĊ", "x"]
    assert made("x")["input_ids"][0] == made.bos_token_id
    assert written(tmp_path / "n.gguf", "llama-bpe", add_bos=False)("x")["input_ids"] == [ord("x")]
    assert written(tmp_path / "o.gguf", "smollm")("x")["input_ids"] == [ord("x")]


@pytest.mark.parametrize("pre", [name for names in gguf_tokenizer.CUTS.values() for name in names])
def test_every_name_that_is_known_cuts(tmp_path: Path, pre: str) -> None:
    made = written(tmp_path / "m.gguf", pre)
    ids = made("hello <|end|> 2024 <think>")["input_ids"]
    assert made.decode(ids, skip_special_tokens=False).endswith("hello <|end|> 2024 <think>")
    assert made.chat_template == "{{ messages }}"


@pytest.mark.parametrize(
    ("pre", "more", "error", "words"),
    [
        (
            "shiny-new",
            {},
            Unsupported,
            r"does not know the way in which its tokenizer splits text .“shiny-new”.*Known: gpt-2",
        ),
        (None, {}, Unsupported, r"does not say how its tokenizer splits text \(tokenizer\.ggml\.pre\)"),
        ("default", {}, Unsupported, "splits text .“default”"),
        ("smollm", {"model": "rwkv"}, Unsupported, r"tokenizer of the kind “rwkv”\. Kinds that are read: gpt2, llama"),
        ("smollm", {"merges": ["a b"]}, BadFile, "a merge of its tokenizer is damaged"),
        ("smollm", {"merges": None}, BadFile, "the merges of its tokenizer are missing"),
        ("smollm", {"types": [1]}, BadFile, r"has \d+ tokens, and says of 1 what kind"),
        ("smollm", {"bos": 9999}, BadFile, "has no entry 9999"),
    ],
)
def test_what_is_not_known_is_refused(
    tmp_path: Path, pre: str | None, more: dict[str, Any], error: type[TxpanelError], words: str
) -> None:
    with pytest.raises(error, match=words):
        written(tmp_path / "m.gguf", pre, **more)


PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefhnortTH.,"]
WORDS = [
    "th",
    "he",
    "the",
    "▁t",
    "▁th",
    "▁the",
    "er",
    "re",
    "the▁",
    "and",
    "an",
    "nd",
    "▁a",
    "▁an",
    "▁and",
    "her",
    "ther",
    "▁▁",
    "or",
    "for",
]


def sentencepiece(path: Path, prefix: bool) -> tuple[Any, list[str], list[float]]:
    entries = [*PIECES, *WORDS]
    order = random.Random(0).sample(range(len(WORDS)), len(WORDS))
    scores = [0.0] * 259 + [-1000.0 - n for n in range(len(PIECES) - 259)] + [-float(n) for n in order]

    def vocabulary(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("llama")
        writer.add_token_list(entries)
        writer.add_token_scores(scores)
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (len(entries) - 259))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_space_prefix(prefix)

    source = ggufmodels.model("llama")
    return (
        gguf_tokenizer.tokenizer(read(ggufmodels.write(path, "llama", source, vocabulary=vocabulary))),
        entries,
        scores,
    )


@pytest.fixture(scope="module", params=[True, False])
def sentence_pieces(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bool, Any, list[str], list[float]]:
    return (request.param, *sentencepiece(tmp_path_factory.mktemp("spm") / "m.gguf", request.param))


@given(text=st.text(st.sampled_from("theandorf TH.,é日"), max_size=16))
@examples(max_examples=150)
def test_pieces_are_joined_best_score_first(
    sentence_pieces: tuple[bool, Any, list[str], list[float]], text: str
) -> None:
    """Against SentencePiece's algorithm as its paper states it: the pair whose joined piece has the best score, the leftmost of equals."""
    prefix, made, entries, scores = sentence_pieces
    number = {entry: n for n, entry in enumerate(entries)}
    pieces = list((" " + text if prefix and text else text).replace(" ", "▁"))
    while True:
        pairs = [(scores[number[a + b]], -n) for n, (a, b) in enumerate(itertools.pairwise(pieces)) if a + b in number]
        if not pairs:
            break
        at = -max(pairs)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    right = [
        number[piece] if piece in number else [number[f"<0x{byte:02X}>"] for byte in piece.encode()] for piece in pieces
    ]
    flat = [token for one in right for token in (one if isinstance(one, list) else [one])]
    assert made(text)["input_ids"] == [1, *flat]
    tokens = read_tokens(made, [1, *flat], text)
    assert tokens.exact
    assert b"".join(tokens.pieces).decode() == text


def test_text_that_would_be_changed_before_it_is_cut_is_refused(tmp_path: Path) -> None:
    def vocabulary(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("llama")
        writer.add_token_list(PIECES)
        writer.add_token_scores([0.0] * len(PIECES))
        writer.add_remove_extra_whitespaces(True)

    path = ggufmodels.write(tmp_path / "m.gguf", "llama", ggufmodels.model("llama"), vocabulary=vocabulary)
    with pytest.raises(Unsupported, match="changes text before it splits it"):
        gguf_tokenizer.tokenizer(read(path))
