"""The settings of the next draw, as parameters: one for each declared stage, and the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import param

from txpanel.decoding import FIELDS, Sample, Settings
from txpanel.decoding.settings import USUAL
from txpanel.decoding.stage_spec import StageSpec
from txpanel.decoding.stages import SPECS
from txpanel.models.language_model import LanguageModel
from txpanel.session.default_settings import usual_settings

__all__ = ["SamplingParams", "values"]


class SamplingParams(param.Parameterized):
    """The part of `ModelState` that says how the next token is drawn, and what was drawn with that.

    Besides those below it has a parameter for each stage of `txpanel.decoding.stages`, such as ``temperature``.
    """

    seed = param.Integer(0, bounds=(0, None), doc="Of the next draw; each appended token moves it on by one.")
    sampled = param.ClassSelector(class_=Sample, doc="Stages and draw for the last position with these settings.")

    def __init__(self, *, usual: Mapping[str, float] | None = None, **params: Any) -> None:
        self._usual = None if usual is None else dict(usual)
        super().__init__(**params)

    @property
    def settings(self) -> Settings:
        """The sampling settings as one value."""
        return Settings(**{name: getattr(self, name) for name in FIELDS})

    @property
    def usual(self) -> dict[str, float]:
        """A value for each stage: what a page begins with, for this model and this sort of text."""
        return self._usual or dict(USUAL)

    def _usual_for(self, model: LanguageModel | None, chat: bool) -> Settings | None:
        """The settings with which another model or a conversation begins, if these are others; None: the present ones stay.

        They also stay if any has been changed by hand, or if the state was made without `usual`.
        """
        if self._usual is None:
            return None
        was, now = self._usual, usual_settings(model, chat)
        self._usual = now
        untouched = bool(was) and all(getattr(self, spec.key) == was[spec.key] for spec in SPECS)
        return replace(Settings(**now), seed=self.seed) if untouched and now != was else None


def _parameter(spec: StageSpec) -> Any:
    kind = param.Integer if spec.kind is int else param.Number
    most = spec.at_most if spec.at_most < math.inf else None
    return kind(spec.off, bounds=(0, most), inclusive_bounds=(not spec.positive, True), doc=spec.doc)


for _spec in SPECS:
    SamplingParams.param.add_parameter(_spec.key, _parameter(_spec))


def values(settings: Settings) -> dict[str, float]:
    """The settings as parameters to set."""
    return {name: getattr(settings, name) for name in FIELDS}
