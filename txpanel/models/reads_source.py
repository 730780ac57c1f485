"""How a pass begins: with a text, or, in an encoder-decoder, with a source that the encoder reads first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from txpanel.errors import BadText, EmptyText, Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.encoder_inputs import EncoderInputs, read_encoder_inputs, without_mask
from txpanel.models.pair import Pair, Read
from txpanel.models.tokens import token_ids

if TYPE_CHECKING:
    from txpanel.models.encoder_decoder import Reading, Source, Sources
    from txpanel.models.language_model import LanguageModel


class ReadsSource:
    """The part of a :class:`~txpanel.models.language_model.LanguageModel` that prepares and runs a pass.

    Attributes:
        pair: the two stacks of an encoder-decoder; ``None``: the model continues the text that it reads.
        encoder_inputs: the sound or picture that its encoder has read; ``None``: it has read none.
    """

    model: Any
    title: str
    anatomy: Anatomy
    pair: Pair | None
    encoder_inputs: EncoderInputs | None = None
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
        """The encoder's output for the source; where no source was given, for the one with which the model is verified."""
        assert self.pair is not None
        return self.pair.read_probe(self._opened.rows)

    def source_state(self) -> Tensor | None:
        """The encoder's last state for the source, float32 [S, D] on the CPU; ``None``: there is no encoder."""
        if self.pair is None:
            return None
        return self.read().state

    def has_read(self) -> Source | None:
        """The source, with the encoder's output for it; ``None``: the model has read none."""
        return None

    def read_anew(self) -> None:
        """Have the encoder read the source again before it is next used: the model may have changed unnoticed."""

    def having_read(self, source: Any, *, start: Iterable[int] | None = None) -> Reading:
        """An encoder-decoder that has read a source, and writes a text.

        Args:
            source: a text or token ids. For an encoder that reads a sound or a picture: what the model's processor makes of it, such as
                ``processor(audio, sampling_rate=16000, return_tensors="pt")``.
            start: ids with which the decoder begins, such as the start token and the one of a language; ``None``: the ``decoder_input_ids`` of
                such inputs, else as ``generate`` begins.

        Raises:
            Unsupported: the model has no encoder. EmptyText, TooLong, BadText: the source can't be read. All in words.
        """
        from txpanel.models.encoder_decoder import Sources, check_source  # late: only few models are such

        pair = self.pair
        if pair is None:
            words = _("{model} continues the text that it reads. It has no encoder that reads another one.")
            raise Unsupported(words.format(model=self.title))
        ids, text, given = [], None, None
        if pair.reads_text:
            ids, text = self._opened.ids(source), source if isinstance(source, str) else None
            check_source(self._opened, pair, ids)
        else:
            given = source if isinstance(source, EncoderInputs) else self._encoder_inputs(pair, source)
        first = token_ids(start) if start is not None else list(given.start) if given and given.start else pair.start
        if not first:
            raise EmptyText(_("start is empty. A decoder needs at least one token to begin with."))
        self._sources = self._sources or Sources()
        return self._sources.of(self._opened, ids, text, first, given)

    def _encoder_inputs(self, pair: Pair, inputs: Any) -> EncoderInputs:
        """A processor's result, checked and tried on the encoder."""
        like = next(one for one in pair.encoder.parameters() if one.is_floating_point())
        found = read_encoder_inputs(pair.reads, pair.encoder, inputs, like)
        with self._opened.lock, self._opened.running():
            found = without_mask(found, pair.encoder, lambda named: pair.read_inputs(named).state)
            try:
                pair.read_inputs(found.named)
            except Exception as error:  # whatever an encoder's own code may raise
                words = _(
                    "The model cannot be run on these inputs ({reason}). Make them with its own processor, of one text."
                )
                raise BadText(words.format(reason=f"{type(error).__name__}: {error}"[:300])) from error
        return found

    def begin_with(self, inputs: Any) -> tuple[LanguageModel, list[int]]:
        """The model and the ids to run, for a processor's result: the ids of the text in it, or, for an encoder-decoder, the decoder's first ids.

        Raises:
            BadText, Unsupported: in words.
        """
        if self.pair is not None and not self.pair.reads_text:
            reading = self.having_read(inputs)
            return reading, list(reading.start)
        found = self._opened.with_inputs(inputs)
        return found, list(found.inputs.ids) if found.inputs is not None else token_ids(inputs["input_ids"])

    def begin(self, text: str | Sequence[int]) -> tuple[LanguageModel, list[int]]:
        """The model and the ids to run, for a text; for an encoder-decoder the reading of the text, and the decoder's first ids.

        Raises:
            EmptyText, TooLong, BadText: in words.
        """
        if self.pair is None:
            ids = self._opened.ids(text)
            return self._opened.reading(ids), ids
        if not self.pair.reads_text:
            words = _(
                "{model} does not read text: its encoder reads {name}. From Python: model.trace(inputs=...) with what the model's processor returns."
            )
            raise BadText(words.format(model=self.title, name=self.pair.reads))
        reading = self.having_read(text)
        return reading, list(reading.start)
