"""Chat templates: the model's own tokens around the person's words, and the mark that ends an answer."""

from __future__ import annotations

import pytest

from tests.families import tiny
from txpanel.decoding.generation import end_tokens
from txpanel.errors import EmptyText, Unsupported
from txpanel.models import chat
from txpanel.models.language_model import LanguageModel
from txpanel.session.prompt import Prompt
from txpanel.session.state import ModelState


@pytest.fixture
def talker() -> LanguageModel:
    model = tiny("gpt2")
    model.tokenizer.add_special_tokens({"additional_special_tokens": ["<|say|>", "<|done|>"]})
    model.tokenizer.chat_template = (
        "{% for m in messages %}<|say|>{{ m.role[0] }}:{{ m.content }}<|done|>{% endfor %}"
        "{% if add_generation_prompt %}<|say|>a:{% endif %}"
    )
    return model


def test_the_template_is_rendered_and_its_end_is_an_end(talker: LanguageModel) -> None:
    say, done = talker.tokenizer.convert_tokens_to_ids(["<|say|>", "<|done|>"])
    ids = chat.encode(talker, "hi")
    assert ids[0] == ids[-3] == say
    assert ids.count(done) == 1
    assert chat.turn_ends(talker) == {done}
    assert done in end_tokens(talker)
    assert talker.tokens(ids).strings[0] == "<|say|>"
    assert Prompt("hi", chat=True).encoded(talker) == ids


def test_without_a_template_there_is_none(nano: LanguageModel) -> None:
    assert not chat.has_template(nano)
    assert not chat.has_template(None)
    assert chat.turn_ends(nano) == frozenset()
    with pytest.raises(Unsupported, match="no chat template"):
        chat.encode(nano, "hi")


def test_a_template_that_refuses_does_so_in_words(talker: LanguageModel) -> None:
    talker.tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(Unsupported, match="roles must alternate"):
        chat.encode(talker, "hi")
    assert chat.turn_ends(talker) == frozenset()
    with pytest.raises(EmptyText):
        Prompt(" ", chat=True).source(talker)


@pytest.mark.real
def test_smollm2_answers_and_stops_at_its_own_mark(smollm2: LanguageModel) -> None:
    state = ModelState(model=smollm2, text="Say hello.", chat=True, temperature=0)
    strings = state.trace.tokens.strings
    assert strings[0] == "<|im_start|>"
    assert "<|im_end|>" in strings
    before = strings
    state.generate(40)
    tree = state.tree
    assert tree.node(tree.leaf).ended == "end of text"
    assert tree.node(tree.leaf).string == "<|im_end|>"
    assert tree.node(tree.leaf).special
    assert "<|im_end|>" in (state.notice or "")
    assert state.text == "Say hello."
    assert state.trace.tokens.strings[: len(before)] == before
    state.chat = False
    assert state.trace.tokens.strings[0] == "Say"
    state.undo()
    assert (state.chat, len(state.tree)) == (True, len(tree))
