"""Modules under the names that they had before 0.2: imported as before, with a warning.

Reason: notebooks and plugins written for 0.1 import from them. Drop it in 0.3, with ``tests/compat/test_old_names.py``.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "install"]

MOVED = {
    "app": "server.session_page",
    "arriving": "session.results",
    "beams": "decoding.beams",
    "cli": "server.cli",
    "components": "toolkit.component",
    "components.formula": "toolkit.formula",
    "components.picture": "toolkit.picture",
    "components.strips": "toolkit.vector_strips",
    "components.text": "toolkit.text",
    "components.waiting": "toolkit.waiting",
    "dashboard": "page.dashboard",
    "discovery": "views.discovery",
    "film": "session.token_tree",
    "focus": "session.selection",
    "generation": "decoding.generation",
    "handover": "compat.thread_handover",
    "history": "session.history",
    "jobs": "session.jobs",
    "knobs": "session.sampling_params",
    "lessons.lit": "lessons.page_parts",
    "models.accounts": "models.memory_accounting",
    "models.faces": "models.variants",
    "models.figures": "models.metrics",
    "models.fills": "models.masked_tokens",
    "models.fitting": "models.byte_spans",
    "models.lean": "compat.lean_imports",
    "models.obeys": "models.used_settings",
    "models.opener": "models.from_pretrained",
    "models.opening": "models.inspect_model",
    "models.opening_mlp": "models.inspect_mlp",
    "models.own_arithmetic": "models.torch_modes",
    "models.report": "models.doctor",
    "outline": "session.tree_codec",
    "prompt": "session.prompt",
    "ranges": "decoding.ranges",
    "runs": "session.run_file",
    "server.circles": "server.garbage_collection",
    "server.dead_lines": "server.dead_connections",
    "server.doors": "server.middleware",
    "server.outside": "server.operator_pages",
    "server.passed_on": "server.panel_options",
    "serving": "server.policy",
    "session.opening": "session.prepared_runs",
    "session.usual": "session.default_settings",
    "sharing": "session.shared",
    "shell": "page",
    "shell.address": "page.address",
    "shell.bar": "page.top_bar.controller",
    "shell.compare": "page.timeline.branch_comparison",
    "shell.delivery": "compat.write_queue",
    "shell.files": "page.exports",
    "shell.frames": "page.frames",
    "shell.kept": "page.browser_storage",
    "shell.late": "compat.late_models",
    "shell.lighter": "compat.style_lookup",
    "shell.memory": "compat.shared_heap",
    "shell.offline": "page.offline",
    "shell.strip": "page.timeline.controller",
    "shell.words": "page.top_bar.words",
    "shots": "session.tree_nodes",
    "state": "session.state",
    "terminal": "server.terminal",
    "tracing.attention_graph": "tracing.graph.attention",
    "tracing.derived": "tracing.graph.derived",
    "tracing.head_graph": "tracing.graph.output",
    "tracing.mlp_graph": "tracing.graph.mlp",
    "tracing.writer": "tracing.graph.builder",
    "ui": "page.theme",
    "views.numbers": "toolkit.format",
    "views.palette": "toolkit.palette",
    "views.pieces": "toolkit.card",
    "worker": "session.worker",
}
"""Old name -> new name, both within ``txpanel``."""


class OldNames:
    """Finds a module that has moved, and says where it is now."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name; None for all others."""
        package, _, old = name.partition(".")
        if package != "txpanel" or old not in MOVED:
            return None
        return ModuleSpec(name, cls(), is_package=any(other.startswith(old + ".") for other in MOVED))  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its new name."""
        new = "txpanel." + MOVED[spec.name.partition(".")[2]]
        warnings.warn(f"{spec.name} is {new} now; the old name goes in txpanel 0.3", DeprecationWarning, stacklevel=2)
        found = importlib.import_module(new)
        self.facts = found.__spec__, found.__loader__, found.__package__
        return found

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: restores ``__spec__`` and the like, which the import system has overwritten."""
        module.__spec__, module.__loader__, module.__package__ = self.facts


def install() -> None:
    """Once per process, also where ``txpanel/__init__.py`` is run a second time by ``panel serve``."""
    if not any(getattr(finder, "__name__", "") == OldNames.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, OldNames)  # before a search in the folder of the new package
