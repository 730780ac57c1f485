"""What of a language model differs where an encoder reads the text: what is called, and what a run begins with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from txpanel.errors import EmptyText, Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.pair import Pair, Read
from txpanel.models.tokens import token_ids

if TYPE_CHECKING:
    from txpanel.models.encoder_decoder import Reading, Source, Sources
    from txpanel.models.language_model import LanguageModel


class ReadsSource:
    """The part of a :class:`~txpanel.models.language_model.LanguageModel` that says what runs on a text.

    Attributes:
        pair: the two stacks of an encoder-decoder; ``None``: the model continues the text that it reads.
    """

    model: Any
    title: str
    anatomy: Anatomy
    pair: Pair | None
    _sources: Sources | None

    @property
    def _opened(self) -> LanguageModel:
        return cast("LanguageModel", self)

    def forward(self, ids: Tensor, **more: Any) -> Any:
        """One pass of the module over token ids [1, T]. Of an encoder-decoder that has read nothing: with a fixed source."""
        if self.pair is not None:
            return self.pair.forward(self.read(), ids, **more)
        if not getattr(self.model.config, "return_dict", True):  # some families then answer with a tuple
            more = {"return_dict": True, **more}
        return self.model(input_ids=ids, **more)

    def read(self) -> Read:
        """What the encoder makes of the source that is read: of one with which the model is verified, where there is no other."""
        assert self.pair is not None
        return self.pair.read(self.pair.probe(self._opened.rows, self._opened.device))

    def source_state(self) -> Tensor | None:
        """What the encoder gave for the source that is read, float32 [S, D] on the CPU; ``None``: there is no encoder."""
        if self.pair is None:
            return None
        return self.read().state

    def has_read(self) -> Source | None:
        """The source that is read, with what the encoder made of it; ``None``: the model has read none."""
        return None

    def read_anew(self) -> None:
        """Have the encoder read the source again before it is next used: the model may have changed where no look has seen it."""

    def having_read(self, text: str | Iterable[int], *, start: Iterable[int] | None = None) -> Reading:
        """An encoder-decoder that has read a text (or token ids), and writes another.

        Args:
            start: ids with which the decoder begins, such as the start token and the one of a language; ``None``: as ``generate`` begins.

        Raises:
            Unsupported: the model has no encoder. EmptyText, TooLong, BadText: the text can't be read. All in words.
        """
        from txpanel.models.encoder_decoder import Sources, check_source  # late: only few models are such

        if self.pair is None:
            words = _("{model} continues the text that it reads. It has no encoder that reads another one.")
            raise Unsupported(words.format(model=self.title))
        ids = self._opened.ids(text)
        check_source(self._opened, self.pair, ids)
        first = token_ids(start) if start is not None else self.pair.start
        if not first:
            raise EmptyText(_("start is empty. A decoder needs at least one token to begin with."))
        self._sources = self._sources or Sources()
        return self._sources.of(self._opened, ids, text if isinstance(text, str) else None, first)

    def begin(self, text: str | Sequence[int]) -> tuple[LanguageModel, list[int]]:
        """What runs on a text, and the ids that it runs on; of an encoder-decoder what has read the text, and the decoder's first ids.

        Raises:
            EmptyText, TooLong, BadText: in words.
        """
        if self.pair is None:
            ids = self._opened.ids(text)
            return self._opened.reading(ids), ids
        reading = self.having_read(text)
        return reading, list(reading.start)
