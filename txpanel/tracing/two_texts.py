"""A run of an encoder-decoder has two texts: the source, which the encoder has read, and what the decoder writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from txpanel.models.encoder_decoder import Source
from txpanel.models.tokens import Tokens
from txpanel.tracing.names import of_source
from txpanel.tracing.recording import Recording


class TwoTexts:
    """The part of a :class:`~txpanel.tracing.Trace` that knows the source."""

    recording: Recording
    tokens: Tokens

    @property
    def source(self) -> Source | None:
        """Of an encoder-decoder: the text that the encoder has read (``.tokens``, ``.text``) and its last state (``.state``); else ``None``."""
        return self.recording.source

    def along(self, name: str, dim: str) -> Tokens:
        """The tokens that a dimension (``token``, ``query``, ``key``) of a tensor counts: those of the run, or of the source."""
        if self.source is not None and of_source(name, dim):
            return self.source.tokens
        return self.tokens

    def _texts(self, name: str, coords: dict[str, Any]) -> dict[str, Any]:
        """Coordinates with the tokens' strings, for the dimensions of a tensor that count tokens."""
        found = {dim: self.along(name, dim) for dim in ("token", "query", "key") if dim in coords}
        return {
            f"{dim}_text": (dim, np.asarray(tokens.strings, dtype=object))
            for dim, tokens in found.items()
            if len(coords[dim]) == len(tokens)
        }
