"""Chat templates: what a model that was trained on conversations reads in place of a bare text.

The template comes with the tokenizer; transformers renders it in a sandbox. What it adds around the person's text
are tokens like all others, and txpanel shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txpanel.errors import TxpanelError, Unsupported
from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

ANSWER = "txpanel"


def has_template(model: LanguageModel | None) -> bool:
    """Whether the model's tokenizer comes with a chat template."""
    return bool(model is not None and getattr(model.tokenizer, "chat_template", None))


def encode(model: LanguageModel, text: str) -> list[int]:
    """Token ids of a conversation in which the person has said `text` and the model is to answer.

    Raises:
        Unsupported: there is no template, or it refuses the text, in words.
    """
    if not has_template(model):
        raise Unsupported(_("{model} has no chat template: it reads the text unchanged.").format(model=model.title))
    return _rendered(model, [{"role": "user", "content": text}], add_generation_prompt=True)


def turn_ends(model: LanguageModel) -> frozenset[int]:
    """Ids of the special token with which the template ends an answer; empty without a template or such a token."""
    if not has_template(model):
        return frozenset()
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        ids = _rendered(model, turns)
    except TxpanelError:  # a template may refuse such a conversation; the model's own end tokens are known without it
        return frozenset()
    return frozenset(_first_special(model, ids))


def _first_special(model: LanguageModel, ids: list[int]) -> list[int]:
    """The first special token after the answer."""
    special = {token for token, entry in model.tokenizer.added_tokens_decoder.items() if entry.special}
    text, found = "", list[int]()
    for token in reversed(ids):
        text = str(model.tokenizer.decode([token])) + text
        if ANSWER in text:
            return found[-1:]
        if token in special:
            found.append(token)
    return []


def _rendered(model: LanguageModel, turns: list[dict[str, str]], **options: Any) -> list[int]:
    try:
        ids = model.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False, **options)
    except Exception as error:  # a template is a small program: it may raise anything
        text = _("The chat template of {model} does not accept this text: {error}")
        raise Unsupported(text.format(model=model.title, error=str(error)[:200])) from error
    return [int(token) for token in ids]
