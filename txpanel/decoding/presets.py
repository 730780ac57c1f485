"""Ready-made settings, and those that a model brings in its own ``generation_config``."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import GenerationConfig

from txpanel.compat.generation_defaults import generation_defaults
from txpanel.decoding.left_out import left_out
from txpanel.decoding.settings import SURPRISE, USUAL, Settings
from txpanel.decoding.stages import SPECS
from txpanel.errors import Unsupported
from txpanel.messages import _

__all__ = ["PRESETS", "own_settings"]

PRESETS: dict[str, Settings] = {
    "plain": Settings(),
    "greedy": Settings(temperature=0.0),
    "balanced": Settings(**USUAL),
    "creative": Settings(**SURPRISE),
}
"""``plain``: the model's own probabilities; ``greedy``: always the most likely token; ``balanced``: what a page begins with;
``creative``: more unlikely tokens."""


def own_settings(config: Any) -> Settings | None:
    """How transformers' ``generate`` would draw if nothing were said; None where a value makes no sense here (nor to ``generate``).

    Args:
        config: a model's ``generation_config``, or the model, txpanel's or transformers'. What it leaves open is transformers'
            default: greedy, unless ``do_sample`` is set, and then top-k 50.

    Returns:
        The settings. Their ``left_out`` names what else it says that changes the text and that no stage here does.

    Raises:
        Unsupported: it is none of these, so that nothing would be left out of what was never read.
    """
    config, module = _config_and_module(config)
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
        return Settings(**given, left_out=left_out(config, module))
    except ValueError:
        return None


def _config_and_module(given: Any) -> tuple[GenerationConfig | None, nn.Module | None]:
    """The ``generation_config`` of what may be a model, and the model's module."""
    if given is None or isinstance(given, GenerationConfig):
        return given, None
    module = next((place for place in (given, getattr(given, "model", None)) if isinstance(place, nn.Module)), None)
    if module is not None:
        return getattr(module, "generation_config", None), module
    words = _("This is a {kind}, neither a model nor its generation_config.")
    raise Unsupported(words.format(kind=type(given).__name__))
