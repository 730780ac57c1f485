"""What a session asks of its model: one request at a time, in a thread of its own, the newest one winning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import param

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.pacing import Pacing
from txpanel.session.worker import Dispatch, Job, Worker

Work = Callable[[LanguageModel, threading.Event], Iterable[Result]]
"""Given the model and an event that asks it to stop, yields results."""


class BackgroundWork(param.Parameterized):
    """The part of `ModelState` that hands work to the worker. Results go to `_show`, `_show_token` and `_fail`."""

    busy = param.Boolean(False, doc="Whether the model runs or is being loaded.")
    progress = param.ClassSelector(class_=Progress, doc="How far something slow has come; None otherwise.")
    error = param.String(None, allow_None=True, doc="A sentence: what went wrong with the newest request.")
    notice = param.String(None, allow_None=True, doc="A sentence that is no error, such as why generating ended.")

    def __init__(self, *, dispatch: Dispatch | None = None, **params: Any) -> None:
        self._worker, self._pacing = Worker(dispatch), Pacing()
        self._prepares = dispatch is not None  # a script looks at what it wants; a block per step would fill the memory
        super().__init__(**params)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs (for tests and scripts). Returns whether that is so."""
        return self._worker.wait(timeout)

    def follow_page(self) -> None:
        """From now on each generated step waits until `seen` says that the page has drawn it.

        Of fast ones, some are shown with their token alone; their run follows about once a second, and at the end.
        """
        self._pacing.follow_page()

    def seen(self) -> None:
        """The page has drawn the newest step."""
        self._pacing.acknowledge()

    def _start(self, work: Work, *, fast: bool = False) -> None:
        """Run `work` with the model and show its results.

        Args:
            fast: results follow each other without pauses, so that some may be shown with their token alone.
        """
        model, saved = self.model, self.trace is not None

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            for result, token_only in self._pacing.steps(work(_needed(model, saved), cancel), cancel, fast=fast):
                if token_only:
                    publish(partial(self._show_token, result))
                    continue
                if self._prepares:
                    jobs.prepare(result.trace, self.layer)
                publish(partial(self._show_step, result))

        self._submit(job)

    def _show_step(self, result: Result) -> None:
        try:
            self._show(result)
        finally:
            self._pacing.shown()

    def _submit(self, job: Job) -> None:
        """Give a job to the worker. What it raises becomes a sentence in `error`; what a watcher of the state raises does not."""

        def guarded(cancel: threading.Event, publish: Dispatch) -> None:
            of_watchers: list[Exception] = []

            def show(result: Callable[[], object]) -> None:
                try:
                    publish(result)
                except Exception as error:
                    of_watchers.append(error)
                    raise

            try:
                job(cancel, show)
            except Exception as error:
                if (
                    error in of_watchers
                ):  # the work was done; whoever watches the state has failed, and should hear of it
                    raise
                publish(partial(self._fail, error))

        self.param.update(busy=True, progress=None, error=None, notice=None)
        self._worker.submit(guarded)


def _needed(model: LanguageModel | None, saved: bool) -> LanguageModel:
    """The model, or a sentence why nothing can be run without one."""
    if model is not None:
        return model
    if saved:
        raise Unsupported(_("This run was opened from a file without its model: it can be looked at, not continued."))
    raise Unsupported(_("No model is loaded yet. Choose one first."))
