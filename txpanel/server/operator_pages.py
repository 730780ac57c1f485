"""What the server shows to those who run it: ``/health`` and ``/metrics``, under any prefix and with any login, and the count of errors.

Bokeh makes its routes from a list when a server is made; ours are added to that list before (:mod:`txpanel.app_hooks`), so they
are there under a bare ``panel serve txpanel``, too.
"""

from __future__ import annotations

import logging

import tornado.process
from bokeh.server.urls import toplevel_patterns

from txpanel.messages import _
from txpanel.models import metrics
from txpanel.server import private_log
from txpanel.server.health import HealthHandler
from txpanel.server.metrics import MetricsHandler

__all__ = ["begin", "install", "watch_log"]

log = logging.getLogger(__name__)
KNOWN = ("txpanel", "panel", "bokeh", "tornado", "asyncio", "transformers", "torch", "param", "holoviews")


def install() -> None:
    """Adds the two addresses; may be called again."""
    there = {pattern[0] for pattern in toplevel_patterns}
    ours = [(r"/health", HealthHandler), (r"/metrics", MetricsHandler)]
    toplevel_patterns.extend(pattern for pattern in ours if pattern[0] not in there)


class _Errors(logging.Handler):
    """Counts what libraries and we write at the level of an error or above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count it by the library; what was said stays in the log."""
        source = record.name.partition(".")[0]
        metrics.ERRORS.add(kind=source if source in KNOWN else metrics.OTHER)


def begin() -> None:
    """What is done when the server is there, and logging is set up; may be called again."""
    private_log.install()
    watch_log()
    if tornado.process.task_id() is not None:
        log.warning(
            _(
                "This server has several processes on one port (--num-procs), so most pages will not load: a page and "
                "its connection reach different processes. Start one server for each port instead; see docs/operating.md."
            )
        )


def watch_log() -> None:
    """Counts errors from now on. Not before logging is set up: a handler that comes first keeps others from doing so."""
    for name in ("", "panel", "bokeh"):  # the last two may keep their lines to themselves
        logger = logging.getLogger(name)
        if (not name or not logger.propagate) and not any(isinstance(one, _Errors) for one in logger.handlers):
            logger.addHandler(_Errors(logging.ERROR))
