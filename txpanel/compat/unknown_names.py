"""A change of a component without a search for names that its model does not have.

Before a change Panel looks through the old values of what changes. Properties of a component of one's own are kept on a second
model, but it looks on the first: Bokeh then composes a sentence with the names that are spelled most like it, which nobody
reads. What the model does not have has no old value, so only new values are looked through.

Versions: Panel 1.9.4 to 1.10.0, Bokeh 3.9 to 3.10.
Reason: speed of every change; the row "without unknown_names" of ``python -m benchmarks.replacements``.
Upstream: holoviz/panel, panel/io/document.py, `freeze_doc`: ask the model for its properties before their values.
Test: tests/compat/test_unknown_names.py::test_bokeh_still_composes_a_sentence_for_each_name
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel import custom

from txpanel.compat.replacing import replace

__all__ = ["mend"]


def mend() -> None:
    """Asks for known names only; once per process, may be called again."""

    def known_only(own: Callable[..., Any]) -> Any:
        def freeze(doc: Any, model: Any, changes: dict[str, Any], force: bool = False) -> Any:
            names = model.properties()
            known = {name: value for name, value in changes.items() if name in names}
            new = [value for name, value in changes.items() if name not in names]
            return own(doc, model, known | {"name": [known.get("name"), *new]} if new else known, force)

        return freeze

    replace(custom, "freeze_doc", known_only, needs=("(getattr(model, key, None), mark_dirty)", "(value, mark_dirty)"))
