"""The sampling bench: sliders, stages and the draw, all of it computed in the browser from the logits of the whole vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import param

from txpanel.components import BASE_CSS, Component, shared_source

__all__ = ["SamplingBench"]

_HERE = Path(__file__).parent


class SamplingBench(Component):
    """Logits in, stages and a draw out; ``on_message(kind, data)`` hears what a person does.

    The logits travel once per run (4 bytes a token). Temperature, top-k, top-p and min-p are then applied in the browser, by the same rules as
    `txpanel.sampling.pipeline`; the server's answer confirms each setting and names the drawn token.

    Args:
        on_message: called with ``"set"`` (temperature, top_k, top_p, min_p), ``"seed"`` (seed), ``"append"`` (token) or ``"why"`` (token).
    """

    logits = param.Array(default=np.zeros(0, np.float32), doc="float32 [V], as the model gave them.")
    names = param.List(default=[], doc="What to show for the likeliest tokens, in order.")
    settings = param.Dict(default={}, doc="temperature, top_k, top_p, min_p, seed, and the seed's uniform number.")
    answer = param.Dict(
        default={}, doc="The server's own result for its settings: these, kept (a count per stage), token, name."
    )
    rows = param.Integer(default=14, doc="How many tokens are listed.")
    words = param.Dict(default={}, doc="The texts.")
    version = param.Integer(default=0, doc="Counts the runs; the browser takes the logits when it changes.")

    _esm = (
        shared_source()
        + (_HERE / "pipeline.js").read_text(encoding="utf-8")
        + (_HERE / "sampling.js").read_text(encoding="utf-8")
    )
    _stylesheets = [BASE_CSS + (_HERE / "sampling.css").read_text(encoding="utf-8")]  # noqa: RUF012

    def __init__(self, on_message: Callable[[str, dict[str, Any]], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(str(data.get("kind")), data)
