"""The settings of the next draw, as parameters: one for each declared stage, and the seed."""

from __future__ import annotations

import math
from typing import Any

import param

from txpanel.decoding import FIELDS, Sample, Settings
from txpanel.decoding.stage_spec import StageSpec
from txpanel.decoding.stages import SPECS

__all__ = ["SamplingParams", "values"]


class SamplingParams(param.Parameterized):
    """The part of `ModelState` that says how the next token is drawn, and what was drawn with that.

    Besides those below it has a parameter for each stage of `txpanel.decoding.stages`, such as ``temperature``.
    """

    seed = param.Integer(0, bounds=(0, None), doc="Of the next draw; each appended token moves it on by one.")
    sampled = param.ClassSelector(class_=Sample, doc="Stages and draw for the last position with these settings.")

    @property
    def settings(self) -> Settings:
        """The sampling settings as one value."""
        return Settings(**{name: getattr(self, name) for name in FIELDS})


def _parameter(spec: StageSpec) -> Any:
    kind = param.Integer if spec.kind is int else param.Number
    most = spec.at_most if spec.at_most < math.inf else None
    return kind(spec.off, bounds=(0, most), inclusive_bounds=(not spec.positive, True), doc=spec.doc)


for _spec in SPECS:
    SamplingParams.param.add_parameter(_spec.key, _parameter(_spec))


def values(settings: Settings) -> dict[str, float]:
    """The settings as parameters to set."""
    return {name: getattr(settings, name) for name in FIELDS}
