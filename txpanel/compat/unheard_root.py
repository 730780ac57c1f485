"""Changes of a page that is being written to a file are not sent over a connection.

What is built with a connection of a notebook, as files need it, tells that connection of every change. Nobody is at its other end: Panel
puts the message off by a loop that need not run, again and again, and where there is none (a script, Python 3.12 and newer) warns of a notebook
that nobody has opened. Panel's own mark of what is written with all its states, ``embedded``, keeps the messages back; without states
``pn.io.save`` does not set it.

Versions: Panel 1.9.4 to 1.10.0.
Reason: a warning of a Jupyter Comm for whoever saves a page, and messages of both themes that wait in the process for ever.
Upstream: holoviz/panel, panel/io/save.py, `save`: mark what it builds as `panel.io.embed` does.
Test: tests/compat/test_unheard_root.py::test_panel_still_sends_the_changes_of_a_page_that_nobody_reads
"""

from __future__ import annotations

from typing import Any

__all__ = ["unheard"]

MARK = "embedded"


def unheard(root: Any) -> None:
    """Has Panel keep the changes of a Bokeh model, and of all below it, to itself; call it before the first one."""
    root.tags = [*root.tags, MARK]
