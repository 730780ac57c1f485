"""Run as a program: opens the page of a copy of the package that lacks one view, and prints what it found as JSON.

    python without_view.py PLACE [PLACE ...]

Each PLACE is a folder with a package ``txpanel`` and its ``dist-info``. A process of its own for each; torch and Panel are imported once before.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any

SHARED = ("panel", "holoviews", "panel_material_ui", "torch", "transformers.models.llama.modeling_llama")
"""What every copy imports, and what takes longest of it."""


def use(place: str) -> dict[str, Any]:
    """Everything that the page does with its views, once."""
    sys.path.insert(0, place)
    import txpanel
    from txpanel.page.dashboard import Dashboard

    assert txpanel.__file__.startswith(place), txpanel.__file__
    state = txpanel.ModelState(model=txpanel.load("nano"), text="CBABBC=")
    dashboard = Dashboard(state)
    first = dashboard.opened
    layout = dashboard.__panel__()
    root = layout.get_root()
    models = len(root.references())
    layout._cleanup(root)  # else all that is opened from here on would be turned into Bokeh models as well
    flow = [part.frame.view for part in dashboard.views.parts if part.on_top]
    for part in dashboard.views.below()[1:3]:  # all are imported, and none imports another: two more are enough
        dashboard.opened = part.id
    for view in flow:
        view.open_for("pattern")
        view._on_message({"type": "next", "position": state.query, "id": 65})
    state.ask("blocks.1.scores", head=0, query=3, key=1)
    state.append()
    state.param.update(temperature=1.5, top_k=2, seed=3)
    state.focus(layer=1, head=1, query=2, key=1)
    state.text = "BCA="
    frames = [*(part.frame for part in dashboard.views.parts), dashboard.card.frame]
    found = {
        "views": [part.id for part in dashboard.views.parts],
        "failed": {frame.label: repr(frame.error) for frame in frames if frame.failed},
        "built": [frame.label for frame in frames if frame.view is not None],
        "targets": sorted(set(frames[0].openable.values())),
        "first": first,
        "tabs": [tab["id"] for tab in dashboard.views.tabs.tabs],
        "classes": sorted(txpanel.views.__all__),
        "models": models,
        "error": state.error,
    }
    dashboard.close()
    return found


def apart(place: str) -> dict[str, Any]:
    """`use` in a process of its own."""
    back, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = use(place)
        except BaseException:
            answer = {"raised": traceback.format_exc()}
        with os.fdopen(out, "w", encoding="utf-8") as stream:
            json.dump(answer, stream)
        os._exit(0)
    os.close(out)
    with os.fdopen(back, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))


if __name__ == "__main__":
    for shared in SHARED:
        import_module(shared)
    assert not any(name.split(".")[0] == "txpanel" for name in sys.modules)
    print(json.dumps({place: apart(place) for place in sys.argv[1:]}))
