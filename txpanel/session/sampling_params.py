"""The settings of the next draw, as parameters."""

from __future__ import annotations

import param

from txpanel.decoding import FIELDS, Sample, Settings


class SamplingParams(param.Parameterized):
    """The part of `ModelState` that says how the next token is drawn, and what was drawn with that."""

    temperature = param.Number(1.0, bounds=(0, None), doc="Divides the logits; 0 takes the likeliest token.")
    top_k = param.Integer(0, bounds=(0, None), doc="Keep the k likeliest tokens; 0 is off.")
    top_p = param.Number(1.0, bounds=(0, 1), doc="Keep the likeliest tokens that reach this probability; 1 is off.")
    min_p = param.Number(0.0, bounds=(0, 1), doc="Keep tokens this share as likely as the likeliest; 0 is off.")
    seed = param.Integer(0, bounds=(0, None), doc="Of the next draw; each appended token moves it on by one.")
    typical_p = param.Number(
        1.0,
        bounds=(0, 1),
        inclusive_bounds=(False, True),
        doc="Keep tokens of typical surprisal that reach this; 1 is off.",
    )
    repetition_penalty = param.Number(
        1.0,
        bounds=(0, None),
        inclusive_bounds=(False, True),
        doc="Above 1 makes tokens of the text less likely; 1 is off.",
    )
    no_repeat_ngram_size = param.Integer(0, bounds=(0, None), doc="Repeat no run of this many tokens; 0 is off.")
    sampled = param.ClassSelector(class_=Sample, doc="Stages and draw for the last position with these settings.")

    @property
    def settings(self) -> Settings:
        """The sampling settings as one value."""
        return Settings(**{name: getattr(self, name) for name in FIELDS})


def values(settings: Settings) -> dict[str, float]:
    """The settings as parameters to set."""
    return {name: getattr(settings, name) for name in FIELDS}
