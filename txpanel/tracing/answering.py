"""The answer of a run: at which token it stands, the same run with its answer at another one, and how surprising its text was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from txpanel.errors import NoSuchTensor, Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Tokens
from txpanel.tracing import lens, opaque_runs
from txpanel.tracing.answer import no_surprisal
from txpanel.tracing.recording import Recording
from txpanel.tracing.store import STORE


class Answering:
    """The part of :class:`~txpanel.tracing.Trace` that knows where its logits stand."""

    recording: Recording
    anatomy: Anatomy
    tokens: Tokens
    text: str
    model: LanguageModel | None
    provenance: dict[str, str]
    uid: int

    if TYPE_CHECKING:

        def __init__(self, recording: Recording, **facts: Any) -> None: ...

        def logits_at(self, position: int) -> xr.DataArray: ...  # noqa: D102

        def unembed(self, stream: Tensor) -> Tensor: ...  # noqa: D102

    @property
    def answer(self) -> int:
        """The token at which :attr:`logits` stand: the last one; of a model that fills gaps the first gap, or what `predicting` chose."""
        return self.recording.answer % len(self.tokens)

    @property
    def gaps(self) -> tuple[int, ...]:
        """Where the mask tokens of the text are; () of a model that writes on."""
        return self.recording.gaps

    def predicting(self, token: int) -> Self:
        """The same run with its answer at another token: another gap, or any token of the text. Of a model that fills gaps.

        Raises:
            NoSuchTensor: no such token. Unsupported: the model writes on, or the trace has no model.
        """
        tokens = len(self.tokens)
        if not -tokens <= token < tokens:
            words = _("There is no token {token}: this run has {tokens} tokens.")
            raise NoSuchTensor(words.format(token=token, tokens=tokens))
        place = token % tokens
        if place == self.answer:
            return self
        if not self.anatomy.fills:
            words = _(
                "This model predicts the next token: its logits are those after the last token. trace.logits_at({place}) "
                "gives those after another one."
            )
            raise Unsupported(words.format(place=place))
        logits = torch.from_numpy(self.logits_at(place).values.copy())
        recording = replace(self.recording, answer=place, logits=logits)
        facts = {"anatomy": self.anatomy, "tokens": self.tokens, "text": self.text, "model": self.model}
        return type(self)(recording, **facts, provenance=self.provenance)

    def surprisal(self) -> npt.NDArray[np.float64]:
        """-log2 of the probability that the model gave each token before reading it, float64 [T] in bits; nan for the first.

        What stands for an image or a sound is no token that could have been expected: nan there, too.

        Raises:
            Unsupported: the trace has no model and the file did not keep these numbers; or the model fills gaps.
        """
        if self.anatomy.fills:
            raise Unsupported(no_surprisal())
        bits = STORE.get(self.uid, "surprisal")
        if bits is None:
            bits = self.recording.stored.get("surprisal")
        if bits is None:
            stream = self.recording.streams[-1]
            found = lens.surprisal(self.unembed, stream, self.tokens.ids, self.anatomy.vocab)
            found[opaque_runs.places_of(self.tokens.places)] = float("nan")
            bits = STORE.put(self.uid, "surprisal", found)
        return np.asarray(bits.numpy(), np.float64)
