"""What a server does when it starts, before the first visitor: imports, the first model, and the run that a page begins with."""

from __future__ import annotations

import gc
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from tornado.ioloop import IOLoop

from txpanel.compat import process_wide
from txpanel.errors import TxpanelError
from txpanel.models.threads import one_thread_here
from txpanel.server import dead_connections, policy, terminal, upkeep, watchdog
from txpanel.server.idle_time import IdleTime, builds

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

__all__ = ["WARM", "start", "warm_up"]

log = logging.getLogger("txpanel.server.start_up")

WARM = threading.Event()
"""Set when all that is slow has been imported."""
_model_code = threading.Event()
_warming = threading.Lock()


def start() -> None:
    """Begins, in the background: `warm_up`, and meanwhile the loading of the first model."""
    terminal.write_anything()  # `panel serve txpanel` comes by here only
    process_wide.apply("start")
    dead_connections.more_files()
    upkeep.start()
    watchdog.start()
    threading.Thread(target=_warm_up_a_server, name="txpanel-warm-up", daemon=True).start()
    loop = IOLoop.current()
    threading.Thread(target=_answer_in_one_thread, args=(loop,), name="txpanel-threads", daemon=True).start()
    idle = IdleTime(lambda seconds, look: loop.add_callback(loop.call_later, seconds, look))
    threading.Thread(target=_bring_model, args=(idle,), name="txpanel-first-model", daemon=True).start()


def _warm_up_a_server() -> None:
    gc.disable()  # imported modules stay: garbage collection over them takes a fifth of the start
    try:
        with _warming:  # no session imports before this
            process_wide.apply("imports")
        warm_up()
    except Exception:
        log.exception("txpanel could not be imported")  # each session tries again and shows the error
    finally:
        gc.freeze()
        gc.enable()
        _model_code.set()


def _answer_in_one_thread(loop: IOLoop) -> None:
    _model_code.wait()
    loop.add_callback(one_thread_here)


def _bring_model(idle: IdleTime) -> None:
    from txpanel.server.launch import bring_model  # late: torch; the page is painted before it is imported

    _model_code.wait()
    bring_model(**policy.options(), then=partial(_show_to_newcomers, idle))


def _show_to_newcomers(idle: IdleTime, model: LanguageModel, text: str) -> None:
    """Runs the text that a page begins with, once for all visitors; in idle time it prepares what each view needs."""
    from txpanel.session import prepared_runs  # late: torch; the page is painted before it is imported

    try:
        prepared_runs.prepare(model, text)
        prepared_runs.look_into_all(model)
    except TxpanelError as error:  # each session meets it again, and says it
        log.info("%s", error)
        return
    idle.begin(builds(model, text))


def warm_up() -> None:
    """Imports what is slow (torch, transformers), once per process; returns when it is there."""
    with _warming:
        if not WARM.is_set():
            import txpanel.models.choice  # late: torch; the page is painted before it is imported
            import txpanel.models.loading
            import txpanel.session.state
            import txpanel.views.discovery
            import txpanel.views.why

            txpanel.models.loading.warm_up()
            _model_code.set()
            txpanel.views.discovery.discover()  # imports the views, while the first model comes
            WARM.set()
