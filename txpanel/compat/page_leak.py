"""A page of panel-material-ui is freed with its session.

`Page.__init__` binds its ``busy`` to the process-wide ``pn.state``. That keeps every page, and with it everything that hangs on
the session, alive for ever. And each click makes the page busy and idle again, for which Panel looks through all models of the
page: with that a change of head cost the server 600 ms of CPU, without it 50. The watchers are in a private attribute of param.

Versions: panel-material-ui 0.16.6, param 2.4.
Reason: memory of a server that grows with every visitor; speed of every click.
Upstream: panel-extensions/panel-material-ui, panel_material_ui/template/base.py, `Page.__init__`.
Test: tests/compat/test_page_leak.py::test_the_workaround_is_still_needed
"""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["release"]


def release(page: Any) -> None:
    """Removes a page's watchers on ``pn.state``; may be called again."""
    private: Any = getattr(page, "_param__private", None)
    watchers = getattr(private, "ref_watchers", None)
    if watchers is None:
        logging.getLogger(__name__).info("left as it is: param keeps the watchers of references elsewhere")
        return
    for _names, watcher in watchers:
        owner = watcher.inst if watcher.inst is not None else watcher.cls
        owner.param.unwatch(watcher)
    private.ref_watchers = []
