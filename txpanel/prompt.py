"""The text as it stands in the box, and the token ids that it means.

The two are not the same thing. Tokens appended one by one may differ from those that the tokenizer would make of the
same text, and a token may end in the middle of a character, which no text can hold. So appended ids are kept beside the
text until the person edits it; bytes of an unfinished character wait until it is complete.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from txpanel.models.language_model import LanguageModel


@dataclass(frozen=True)
class Prompt:
    """What the model runs on.

    Attributes:
        text: what the person sees and edits.
        ids: the exact tokens after an append; None where the tokenizer decides.
        pending: bytes of a character that the last tokens have begun.
        seed: the draw that belongs to this text, so that undo brings back the same next token.
    """

    text: str = ""
    ids: tuple[int, ...] | None = None
    pending: bytes = b""
    seed: int = 0

    def encoded(self, model: LanguageModel) -> list[int]:
        """The token ids for a model."""
        return list(self.ids) if self.ids is not None else model.encode(self.text)

    def appended(self, model: LanguageModel, token: int) -> Prompt:
        """The prompt with one more token and the next seed."""
        data = self.pending + model.tokens([token]).pieces[0]
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")  # bytes that can never be a character have no text
        text = self.text + decoder.decode(data)
        return Prompt(text, (*self.encoded(model), token), decoder.getstate()[0], self.seed + 1)
