"""A change of a component without a search for style sheets that did not change.

At a change of any parameter Panel asks the design for style sheets, which looks for files, although only a change of style
sheets needs them. A click on a head changes 25 parameters.

Versions: Panel 1.9.4 to 1.10.0.
Reason: speed of every change; the row "without style_lookup" of ``python -m benchmarks.replacements``.
Upstream: holoviz/panel, panel/reactive.py, `Reactive._update_properties`: ask the design only when style sheets changed.
Test: tests/compat/test_style_lookup.py::test_panel_still_asks_the_design_at_every_change
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel.reactive import Reactive

from txpanel.compat.replacing import replace

__all__ = ["mend"]

NEEDS = (
    "self._design.params(self, doc)",
    "if 'stylesheets' in changes and",
    "return self._process_param_change(changes)",
)


def mend() -> None:
    """Takes the short way to the same result; once per process, may be called again."""

    def short(own: Callable[..., dict[str, Any]]) -> Any:
        def changed(self: Any, *events: Any, doc: Any) -> dict[str, Any]:
            if any(event.name == "stylesheets" for event in events):
                return own(self, *events, doc=doc)
            found: dict[str, Any] = self._process_param_change({event.name: event.new for event in events})
            return found

        return changed

    replace(Reactive, "_update_properties", short, NEEDS)
