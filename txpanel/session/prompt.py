"""The text that a person edits, and the token ids that the model runs on.

The two may differ. Tokens appended one by one may differ from those that the tokenizer would make of the
same text, and a token may end in the middle of a character, which no text can hold. So appended ids are kept beside the
text until the person edits it; bytes of an unfinished character wait until it is complete. To a chat model the text is
what the person says: the tokens of its template stand around it, and the answer follows it in the ids only.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from txpanel.errors import EmptyText
from txpanel.messages import _
from txpanel.models import chat
from txpanel.models.allowance import allowance
from txpanel.models.language_model import LanguageModel


@dataclass(frozen=True)
class Prompt:
    """What the model runs on.

    Attributes:
        text: what the person sees and edits.
        ids: the exact tokens after an append; None where the tokenizer decides.
        pending: bytes of a character that the last tokens have begun.
        seed: the draw that belongs to this text.
        chat: whether the text is a person's turn in a conversation.
        apart: whether the text is read by an encoder: what is generated does not continue it.
    """

    text: str = ""
    ids: tuple[int, ...] | None = None
    pending: bytes = b""
    seed: int = 0
    chat: bool = False
    apart: bool = False

    def source(self, model: LanguageModel) -> str | list[int]:
        """What to run the model on: the text, or the exact ids.

        Raises:
            EmptyText, Unsupported: in words, of a conversation. TooLong: it is too long to be tokenized.
        """
        if self.ids is not None:
            return list(self.ids)
        allowance().check_characters(self.text)
        if not self.chat:
            return self.text
        if not self.text.strip():
            raise EmptyText(_("There is no text yet. Type your message to the model."))
        return chat.encode(model, self.text)

    def encoded(self, model: LanguageModel) -> list[int]:
        """The token ids for a model; of an encoder-decoder those with which its decoder begins."""
        source = self.source(model)
        return model.begin(source)[1] if isinstance(source, str) else source

    def appended(self, model: LanguageModel, token: int) -> Prompt:
        """The prompt with one more token and the next seed."""
        data = self.pending + model.tokens([token]).pieces[0]
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")  # bytes that can never be a character have no text
        text = self.text + decoder.decode(data)
        shown = self.text if self.chat or self.apart else text
        ids = (*self.encoded(model), token)
        return Prompt(shown, ids, decoder.getstate()[0], self.seed + 1, self.chat, self.apart)
