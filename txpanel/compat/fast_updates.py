"""What Panel 1.9.4 does for nothing at every change of a component, left out: a change takes 0.17 ms instead of 0.43.

A change of one parameter asks the design for style sheets, which looks for files, although only a change of style sheets needs
them (`Reactive._update_properties`). And it looks on the wrong model for the properties of a component of one's own, which
are kept on a second one: Bokeh then composes a sentence with the names that are spelled most like it, which nobody reads
(`panel.io.document.freeze_doc`). A click on a head changes 25 parameters.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from panel import custom
from panel.reactive import Reactive

__all__ = ["mend"]


def mend() -> None:
    """Takes the short way to the same result; once per process, more often is harmless.

    ``tests/compat/test_fast_updates.py`` compares both ways, and fails when Panel no longer needs this.
    """
    if getattr(custom.freeze_doc, "_txpanel_mended", False):
        return
    freeze, properties = custom.freeze_doc, Reactive._update_properties

    @wraps(freeze)
    def freeze_known(doc: Any, model: Any, changes: dict[str, Any], force: bool = False) -> Any:
        """What the model does not have has no old value: it is looked through under a name that the model has."""
        own = model.properties()
        known = {name: value for name, value in changes.items() if name in own}
        new = [value for name, value in changes.items() if name not in own]
        return freeze(doc, model, known | {"name": [known.get("name"), *new]} if new else known, force)

    @wraps(properties)
    def changed(self: Any, *events: Any, doc: Any) -> dict[str, Any]:
        if any(event.name == "stylesheets" for event in events):
            return properties(self, *events, doc=doc)
        return self._process_param_change({event.name: event.new for event in events})

    freeze_known._txpanel_mended = freeze  # type: ignore[attr-defined]
    custom.freeze_doc = freeze_known
    Reactive._update_properties = changed
