"""The default sampling settings of a page."""

from __future__ import annotations

from txpanel.decoding import FIELDS, own_settings
from txpanel.decoding.settings import OFF, USUAL
from txpanel.models.catalogue import find
from txpanel.models.language_model import LanguageModel

__all__ = ["usual_settings"]


def usual_settings(model: LanguageModel | None, chat: bool) -> dict[str, float]:
    """A value for each stage.

    Args:
        model: in a conversation (`chat`) it has its own: those of its ``generation_config``, if that draws at all, else what the catalogue says.
    """
    if model is None or not chat:
        return dict(USUAL)
    config = getattr(model.model, "generation_config", None)
    own = own_settings(config) if getattr(config, "do_sample", False) else None
    if own is not None:
        return {name: getattr(own, name) for name in FIELDS} | {"seed": 0}
    entry = find(model.name)
    return OFF | dict(entry.settings) if entry is not None and entry.settings else dict(USUAL)
