"""Ready-made settings, and those that a model brings in its own ``generation_config``."""

from __future__ import annotations

from transformers import GenerationConfig

from txpanel.compat.generation_defaults import generation_defaults
from txpanel.decoding.left_out import left_out
from txpanel.decoding.settings import SURPRISE, USUAL, Settings
from txpanel.decoding.stages import SPECS

__all__ = ["PRESETS", "own_settings"]

PRESETS: dict[str, Settings] = {
    "plain": Settings(),
    "greedy": Settings(temperature=0.0),
    "balanced": Settings(**USUAL),
    "creative": Settings(**SURPRISE),
}
"""The model's own probabilities; always the likeliest token; the usual middle; more surprises, without the tail."""


def own_settings(config: GenerationConfig | None) -> Settings | None:
    """How transformers' ``generate`` would draw if nothing were said; None where a value makes no sense here (nor to ``generate``).

    Args:
        config: a model's ``generation_config``. What it leaves open is transformers' default: greedy, unless
            ``do_sample`` is set, and then top-k 50.

    Returns:
        The settings. Their ``left_out`` names what else it says that changes the text and that no stage here does.
    """
    defaults = generation_defaults()
    stated = {name: getattr(config, name, None) for name in (*(spec.key for spec in SPECS), "do_sample")}
    values = {name: defaults.get(name) if value is None else value for name, value in stated.items()}
    if not values.pop("do_sample"):  # greedy: generate skips temperature, top-k, top-p and the like
        values = {spec.key: values[spec.key] for spec in SPECS if spec.looks_back} | {"temperature": 0.0}
    elif not (values.get("temperature") or 0) > 0:  # generate refuses it
        return None
    # generate's own "off" of a cutoff is any number outside of 0 to 1
    for name in ("epsilon_cutoff", "eta_cutoff"):
        if name in values and not 0 < (values[name] or 0) < 1:
            values[name] = 0.0
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return Settings(**given, left_out=left_out(config))
    except ValueError:
        return None
