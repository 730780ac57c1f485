"""A model without a tokenizer (music, proteins, games): its text is token ids typed as numbers, and a function may name them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.errors import BadText, Unsupported
from txpanel.messages import _
from txpanel.models.tokens import Tokens, show

if TYPE_CHECKING:
    from torch import nn  # the page is made of this module, too, and comes without torch

EXAMPLE = "12 5 7"
WORD = re.compile(r"[^\s,;\[\]()]+")
"""What stands between blanks, commas and brackets: ids copied from a program are read, too."""
NUMBER = re.compile(r"[+-]?[0-9]{1,15}")
TOKENIZER = ("convert_ids_to_tokens", "all_special_ids", "added_tokens_decoder")
"""Attributes that a tokenizer must have."""
LONGEST = 60
"""Characters of a token's name that are shown."""


class NumberTokens:
    """The tokenizer of a model that has none: a text is token ids, typed as numbers.

    Args:
        size: how many ids there are, from 0. token_text: what to show for an id; the id itself where it raises, or gives no text.
    """

    all_special_ids: tuple[int, ...] = ()
    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012 (never written to)
    chat_template = None
    eos_token_id = None
    is_fast = False

    def __init__(self, size: int, token_text: Callable[[int], str] | None = None) -> None:
        self._size, self._token_text = size, token_text
        self._names: dict[int, str] = {}

    def __len__(self) -> int:
        return self._size

    def __call__(self, text: str) -> dict[str, list[int]]:
        """Token ids of a text of numbers.

        Raises:
            BadText: a word of it is no whole number.
        """
        ids = []
        for word in WORD.findall(text):
            if not NUMBER.fullmatch(word):
                words = _(
                    "This model has no tokenizer: type token ids as numbers, such as “{example}”. “{word}” is not a number."
                )
                raise BadText(words.format(example=EXAMPLE, word=word[:40]))
            ids.append(int(word))
        return {"input_ids": ids}

    def convert_ids_to_tokens(self, token: int) -> str | None:
        """The name of an id; None where there is no such id."""
        if not 0 <= token < self._size:
            return None
        if token not in self._names:
            self._names[token] = self._name(token)
        return self._names[token]

    def _name(self, token: int) -> str:
        if self._token_text is None:
            return str(token)
        try:
            named = self._token_text(token)
            text = show(named.encode("utf-8", "surrogatepass")) if isinstance(named, str) else ""
        except Exception:  # the user's function may raise anything: then the id itself is shown
            text = ""
        if not text.strip():
            return str(token)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

    def decode(self, ids: list[int], **_options: Any) -> str:
        """The ids as they are typed."""
        return " ".join(str(token) for token in ids)

    def read(self, ids: list[int], text: str | None = None, *, begins: bool = False) -> Tokens:
        """Ids with their numbers as pieces and their names as strings; as `txpanel.models.tokens.read_tokens`."""
        strings = [self.convert_ids_to_tokens(token) or str(token) for token in ids]
        pieces = [f" {token}".encode() for token in ids]
        if text is not None and ids:
            ends = [*(match.end() for match in WORD.finditer(text))][: len(ids) - 1]
            cuts = [0, *ends, len(text)]
            pieces = [text[a:b].encode("utf-8", "surrogatepass") for a, b in itertools.pairwise(cuts)]
        elif begins and pieces:
            pieces[0] = pieces[0].removeprefix(b" ")
        return Tokens(np.asarray(ids, np.int64), strings, pieces)


def reads_numbers(model: Any) -> bool:
    """Whether a model has no tokenizer and its text is numbers; `model`: a `LanguageModel` or None."""
    return isinstance(getattr(model, "tokenizer", None), NumberTokens)


def text_reader(model: nn.Module, tokenizer: Any, token_text: Any) -> Any:
    """What makes token ids of text: the tokenizer, or numbers where there is none.

    Raises:
        Unsupported: it is no tokenizer.
    """
    if tokenizer is None:
        if token_text is not None and not callable(token_text):
            raise Unsupported(_("token_text must be a function that returns a text for a token id."))
        return NumberTokens(rows(model), token_text)
    if token_text is not None:
        raise Unsupported(_("token_text is for a model without a tokenizer: give one of the two."))
    if type(tokenizer).__module__.split(".")[0] == "tokenizers":
        from transformers import PreTrainedTokenizerFast  # late: only who brings a bare one needs it

        kind: Any = PreTrainedTokenizerFast
        return kind(tokenizer_object=tokenizer)
    if not callable(tokenizer) or not all(hasattr(tokenizer, name) for name in TOKENIZER):
        raise Unsupported(
            _("LanguageModel.wrap needs a PyTorch model from transformers and its tokenizer, in this order.")
        )
    return tokenizer


def rows(model: Any) -> int:
    """How many ids a model has rows for; 0 where it does not say."""
    try:
        return int(model.get_input_embeddings().weight.shape[0])
    except (AttributeError, NotImplementedError, TypeError):
        return 0
