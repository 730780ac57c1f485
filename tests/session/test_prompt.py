"""Text and ids, side by side."""

from __future__ import annotations

from collections.abc import Callable

from txpanel.models.language_model import LanguageModel
from txpanel.session.prompt import Prompt

Tiny = Callable[[str], LanguageModel]


def byte_ids(model: LanguageModel, text: str) -> list[int]:
    """One id for each byte: the tiny models' tokenizer has nothing longer."""
    ids = model.encode(text)
    assert len(ids) == len(text.encode())
    return ids


def test_an_unfinished_character_waits_until_it_is_complete(tiny: Tiny) -> None:
    model = tiny("gpt2")
    prompt, seen = Prompt("a"), []
    for token in byte_ids(model, "€b"):
        prompt = prompt.appended(model, token)
        seen.append((prompt.text, prompt.pending))
    assert seen == [("a", b"\xe2"), ("a", b"\xe2\x82"), ("a€", b""), ("a€b", b"")]
    assert prompt.encoded(model) == byte_ids(model, "a€b")
    assert prompt.seed == 4


def test_bytes_that_are_no_character_are_dropped_from_the_text_but_not_from_the_ids(tiny: Tiny) -> None:
    model = tiny("gpt2")
    first, *_rest = byte_ids(model, "€")
    prompt = Prompt("a").appended(model, first).appended(model, model.encode("x")[0])
    assert prompt.text == "ax"
    assert prompt.encoded(model) == [model.encode("a")[0], first, model.encode("x")[0]]
    assert "�" not in prompt.text


def test_without_appended_ids_the_tokenizer_decides(tiny: Tiny) -> None:
    assert Prompt("abc").encoded(tiny("gpt2")) == tiny("gpt2").encode("abc")
