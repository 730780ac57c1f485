"""What a server of ours imports until its first page is there; `warm` forks from a process that has imported this."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from txpanel.compat import process_wide

process_wide.apply("start")
process_wide.apply("imports")
for name in (
    "panel.command",
    "panel.io.server",
    "panel_material_ui",
    "holoviews.plotting.bokeh",
    "torch",
    "transformers.models.gpt2.modeling_gpt2",  # the nano model's
    "transformers.generation.utils",
    "txpanel.server.session_page",
    "txpanel.server.start_up",
    "txpanel.page.dashboard",
    "txpanel.page.theme",
    "txpanel.models.loading",
    "txpanel.tracing.record",
):
    import_module(name)
for entry in entry_points(group="txpanel.views"):
    if entry.module.startswith("txpanel."):
        entry.load()
