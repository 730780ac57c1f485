"""Ready-made settings, and those that a model brings in its own ``generation_config``."""

from __future__ import annotations

from transformers import GenerationConfig

from txpanel.compat.generation_defaults import generation_defaults
from txpanel.decoding.settings import Settings
from txpanel.decoding.stages import SPECS

__all__ = ["PRESETS", "own_settings"]

PRESETS: dict[str, Settings] = {
    "plain": Settings(),
    "greedy": Settings(temperature=0.0),
    "balanced": Settings(temperature=0.7, top_p=0.9),
    "creative": Settings(temperature=1.2, top_p=0.95, min_p=0.05),
}
"""The model's own probabilities; always the likeliest token; the usual middle; more surprises, without the tail."""


def own_settings(config: GenerationConfig | None) -> Settings | None:
    """How transformers' ``generate`` would draw if nothing were said; None where a value makes no sense here.

    Args:
        config: a model's ``generation_config``. What it leaves open is transformers' default: greedy, unless
            ``do_sample`` is set, and then top-k 50.
    """
    defaults = generation_defaults()
    stated = {name: getattr(config, name, None) for name in (*(spec.key for spec in SPECS), "do_sample")}
    values = {name: defaults.get(name) if value is None else value for name, value in stated.items()}
    if not values.pop("do_sample"):  # greedy: generate skips temperature, top-k, top-p and the like
        values = {spec.key: values[spec.key] for spec in SPECS if spec.looks_back} | {"temperature": 0.0}
    try:
        return Settings(**{name: value for name, value in values.items() if value is not None})
    except ValueError:
        return None
