"""Encoder-decoders: an encoder reads the source, a text (or a sound, or a picture); a decoder writes a text and attends to the encoder's output.

A run is one of the decoder, on a source that was read before: :class:`Reading` is a model that has read one. Its token ids are the
decoder's, beginning with :attr:`Reading.start`; all else is the model's that reads.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from txpanel.errors import EmptyText, TooLong
from txpanel.messages import _, plural
from txpanel.models.changed import State
from txpanel.models.encoder_inputs import EncoderInputs, source_tokens
from txpanel.models.language_model import LanguageModel
from txpanel.models.pair import Pair, Read
from txpanel.models.tokens import Tokens

__all__ = ["Reading", "Source", "Sources", "check_source"]

SOURCES = 64
"""Sources of one model that are remembered, so that the same text gives the same `Reading` each time."""
_counter = itertools.count(1)


@dataclass(frozen=True)
class Source:
    """A text, a sound or a picture as an encoder has read it.

    Attributes:
        tokens: of the text; for a sound, tokens that stand for the encoder's vectors. state: the encoder's last state, float32 [S, D] on the CPU.
        streams: before each block of the encoder and after the last, float32 [S, D]; empty where they are not known. calls: see
            :class:`~txpanel.models.pair.Read`; empty in a trace that was opened from a file. given: the sound or picture, by the names of the
            encoder's arguments; empty of a text, and in a trace that was opened from a file.
    """

    tokens: Tokens
    state: Tensor
    streams: list[Tensor] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    given: dict[str, Tensor] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``text``, ``audio`` or ``image``."""
        return self.tokens.places[0].kind if self.tokens.places else "text"

    @property
    def text(self) -> str:
        """The text that its tokens stand for; empty for a sound or a picture."""
        return b"".join(self.tokens.pieces).decode("utf-8", "replace")


class Sources:
    """The sources that a model has read recently."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[tuple[int, ...], str | None, tuple[int, ...]], Reading] = OrderedDict()

    def of(
        self,
        model: LanguageModel,
        ids: list[int],
        text: str | None,
        start: list[int],
        given: EncoderInputs | None = None,
    ) -> Reading:
        """The reading of a source: the same object for the same text and ids (two texts may have the same ids), or for the same sound."""
        key = (tuple(ids), text if given is None else given.key, tuple(start))
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = Reading(model, ids, text, start, given)
            if len(self._kept) > SOURCES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


class Reading(LanguageModel):
    """A model together with a source that its encoder has read; its token ids are the decoder's.

    Attributes:
        first: the model itself. start: ids with which the decoder begins. source_ids: of the source. encoder_inputs: a sound or picture; ``None``: a text.
    """

    def __init__(
        self,
        first: LanguageModel,
        ids: list[int],
        text: str | None,
        start: list[int],
        given: EncoderInputs | None = None,
    ) -> None:
        self.first, self.source_ids, self.start, self.encoder_inputs = first, ids, start, given
        self.key = f"{first.key}<{next(_counter)}"
        self._text = text
        self._read: tuple[str, Read] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["first"], name)  # what is not its own is the model's, as it is now

    def now(self) -> LanguageModel:
        """The same source, read by the model as its adapters are set at this moment."""
        first = self.first.now()
        return self if first is self.first else first.having_read(self._given, start=self.start)

    def with_adapters(self, *names: str) -> LanguageModel:
        """The same source, read with these adapters on."""
        return self.first.with_adapters(*names).having_read(self._given, start=self.start)

    @property
    def _given(self) -> str | list[int] | EncoderInputs:
        """The source as it was given: its text, ids, or a sound or picture."""
        if self.encoder_inputs is not None:
            return self.encoder_inputs
        return self.source_ids if self._text is None else self._text

    def state(self, *, thorough: bool = False, briefly: bool = False) -> State:
        """The state of :attr:`first`."""
        return self.first.state(thorough=thorough, briefly=briefly)

    def begin(self, text: str | Sequence[int]) -> tuple[LanguageModel, list[int]]:
        """The model to run and its ids: a text is read as another source; ids are the decoder's, for this source."""
        return self.first.begin(text) if isinstance(text, str) else (self, self.ids(text))

    def having_read(self, source: Any, *, start: Iterable[int] | None = None) -> Reading:
        """The same model after another source."""
        return self.first.having_read(source, start=start)

    def read_anew(self) -> None:
        """See :meth:`LanguageModel.read_anew`."""
        self._read = None

    @property
    def rows(self) -> int:
        """How many token ids the decoder can read: its table may be another one than the encoder's."""
        rows = getattr(getattr(self.first.parts.embed, "weight", None), "shape", (0,))[0]
        return int(rows) or self.first.rows

    @property
    def _pair(self) -> Pair:
        pair = self.first.pair
        assert pair is not None
        return pair

    def read(self) -> Read:
        """The encoder's output for the source, by the model as it is now; call with the model's lock held."""
        key = self.first.watch.state.key
        if self._read is None or self._read[0] != key:
            both, given = self._pair, self.encoder_inputs
            ids = torch.tensor([self.source_ids], device=self.device)
            self._read = key, both.read(ids) if given is None else both.read_inputs(given.named)
        return self._read[1]

    def forward(self, ids: Tensor, **more: Any) -> Any:
        """One pass of the decoder over ids [1, T]."""
        return self._pair.forward(self.read(), ids, **more)

    def has_read(self) -> Source:
        """The source, and the encoder's output for it."""
        read, inputs, encoder = self.read(), self.encoder_inputs, self.anatomy.encoder
        if inputs is None:
            tokens = self.first.tokens(self.source_ids, self._text, begins=True)
        else:
            tokens = source_tokens(inputs, len(read.state), encoder.module if encoder is not None else "")
        streams = [stream.float().cpu() for stream in read.streams]
        named = {} if inputs is None else inputs.named
        given = {name: value.detach().float().cpu() for name, value in named.items() if isinstance(value, Tensor)}
        return Source(tokens, read.state, streams, read.calls, given)


def check_source(model: LanguageModel, pair: Pair, ids: list[int]) -> None:
    """Refuse a source that can't be read.

    Raises:
        EmptyText, TooLong: in words.
    """
    if not ids or ids == model.encode(""):
        raise EmptyText(_("There is no text yet. Type at least one character for the model to read."))
    room = pair.room
    if room is not None and len(ids) > room:
        words = plural(
            "This text has {n:,} token, and the encoder of {model} can read {room:,}. Shorten it.",
            "This text has {n:,} tokens, and the encoder of {model} can read {room:,}. Shorten it.",
            len(ids),
        )
        raise TooLong(words.format(n=len(ids), model=model.title, room=room))
