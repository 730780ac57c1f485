"""The sampling bench: sliders, stages and the draw, all of it computed in the browser from the logits of the whole vocabulary."""

from __future__ import annotations

import numpy as np
import param

from txpanel.toolkit.component import Teller

__all__ = ["SamplingBench"]


class SamplingBench(Teller):
    """Logits in, stages and a draw out; ``on_message(kind, data)`` hears what a person does.

    The logits travel once per run (4 bytes a token). All stages are then applied in the browser, by the same rules as
    `txpanel.sampling.pipeline`; the server's answer confirms each setting and names the drawn token.

    Args:
        on_message: called with ``"set"`` (a value for each stage), ``"seed"`` (seed), ``"append"`` (token) or ``"why"`` (tensor: ``logits``
            or ``probs`` of a token, ``probs.entropy``, or ``others``: all tokens but those `listed`).
    """

    stages = param.List(
        default=[], doc="The declared stages in their order, as `txpanel.decoding.stages.for_browser` gives them."
    )
    logits = param.Array(default=np.zeros(0, np.float32), doc="float32 [V], as the model gave them.")
    names = param.List(default=[], doc="[id, what to show] for the likeliest tokens.")
    text = param.Dict(default={"ids": [], "names": []}, doc="The tokens so far: their ids, and what to show for each.")
    uniforms = param.Array(default=np.zeros(0), doc="float64: the uniform numbers of the seeds 0, 1, 2, ...")
    settings = param.Dict(default={}, doc="A value for each stage, the seed, and the seed's uniform number.")
    settings_key = param.String(
        default="", doc="Name of the state whose settings these are (``decoding/live_settings.js``)."
    )
    answer = param.Dict(
        default={},
        doc="The server's own result for its settings: these, kept (a count per stage), starts (for each, how many tokens "
        "that are likelier than all it keeps stand before those), token, name; or none, a sentence why no token is left.",
    )
    presets = param.List(default=[], doc="Ready-made settings: {key, values, title}.")
    lights = param.List(
        default=[], doc="What the open card is about: pairs of a token's id (-1: no token's) and what it asks for."
    )
    rows = param.Integer(default=12, doc="How many tokens are listed.")
    words = param.Dict(default={}, doc="The texts.")
    version = param.Integer(default=0, doc="Counts the runs; the browser takes the logits when it changes.")

    _module = "sampling.js"
    _styles = "sampling.css"
