"""The adapters of the model that runs: which are on, and whether they can be switched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txpanel.messages import _

if TYPE_CHECKING:
    from txpanel.models.adapter_switch import AdapterState
    from txpanel.session.state import ModelState

__all__ = ["adapters_of", "adapters_said", "adapters_shown"]


def adapters_of(state: ModelState) -> AdapterState | None:
    """Those of the run that is shown, else of the model; None where it has none."""
    run = state.trace.model if state.trace is not None else None
    model = run if run is not None else state.model
    return model.adapters if model is not None and model.adapters.names else None


def adapters_shown(adapters: AdapterState | None) -> dict[str, Any]:
    """What the sheet shows: ``title``, ``list`` (``name``, ``on``), a ``note``, and ``why`` they can't be switched; empty without adapters."""
    if adapters is None:
        return {}
    there = (*adapters.on, *adapters.merged)
    merged = _("“{name}” is merged into the weights, so adapters cannot be switched here.")
    return {
        "title": _("Adapters"),
        "list": [{"name": name, "on": name in there} for name in adapters.names],
        "why": merged.format(name=adapters.merged[0]) if adapters.merged else "",
        "note": ""
        if adapters.merged
        else _("The text runs again with the adapters that are on, in this browser tab only."),
    }


def adapters_said(adapters: AdapterState | None) -> str:
    """Which are on, in a sentence; empty without adapters."""
    if adapters is None:
        return ""
    on = (*adapters.on, *adapters.merged)
    return _("Adapters on: {names}.").format(names=", ".join(on)) if on else _("All adapters are off.")
