"""Which views were switched off, for the next process of the same supervisor: pages reconnect by themselves, and such a view would block it again.

A file of the supervisor's, one JSON line for each view. It goes with the supervisor, so a restart by the operator switches all views on.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from txpanel.messages import _
from txpanel.views import discovery

__all__ = ["keep"]

log = logging.getLogger("txpanel.server.watchdog")


def keep(path: Path) -> None:
    """Switches off what an earlier process has noted, and notes what this one switches off.

    Args:
        path: the supervisor's file.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            package, name, error = json.loads(line)
        except ValueError:  # its process was ended while it wrote, or the disk was full: no reason not to start
            continue
        discovery.keep_off((package, name), error)
        text = _("The view {name} of {package} stays switched off: it blocked the server before this start.")
        log.warning(text.format(name=name, package=package))

    def note(key: discovery.Key, error: str) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([*key, error]) + "\n")
        except OSError:
            log.exception("that a view is off could not be noted for the next start")

    discovery.when_off.append(note)
