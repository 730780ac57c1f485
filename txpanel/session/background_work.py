"""What a session asks of its model: one request at a time, in a thread of its own, the newest one winning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any

import param

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.allowance import Allowance, OnRefusal, working_under
from txpanel.models.language_model import LanguageModel
from txpanel.models.limits import UNLIMITED, Limits
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.looks import Looks
from txpanel.session.pacing import Pacing
from txpanel.session.worker import Dispatch, Job, Worker
from txpanel.tracing.names import split_name

Work = Callable[[LanguageModel, threading.Event], Iterable[Result]]
"""Given the model and an event that asks it to stop, yields results."""


class BackgroundWork(param.Parameterized):
    """The part of `ModelState` that hands work to the worker. Results go to `_show`, `_show_token` and `_fail`."""

    busy = param.Boolean(False, doc="Whether the model runs or is being loaded.")
    progress = param.ClassSelector(class_=Progress, doc="How far something slow has come; None otherwise.")
    error = param.String(None, allow_None=True, doc="A sentence: what went wrong with the newest request.")
    notice = param.String(None, allow_None=True, doc="A sentence that is no error, such as why generating ended.")

    limits: Limits
    """What one request may use; every job meets them, whichever way it came."""

    def __init__(
        self,
        *,
        dispatch: Dispatch | None = None,
        visitor: Hashable = None,
        limits: Limits = UNLIMITED,
        refused: OnRefusal | None = None,
        **params: Any,
    ) -> None:
        self.limits, self._refused = limits, refused or (lambda _kind: None)
        self._worker = Worker(dispatch, visitor=visitor, waits=self._waits, reads=self._reads)
        self._looks, self._pacing = Looks(dispatch, visitor), Pacing()
        self._before_wait: Progress | None = None
        self._prepares = (
            dispatch is not None
        )  # not in a script: it asks for what it needs, and a block per step would fill the memory
        super().__init__(**params)

    def allowed(self, cancel: threading.Event | None = None) -> Allowance:
        """The allowance of a request that begins now on the calling thread; see `txpanel.models.allowance`."""
        return Allowance(self.limits, self._refused, cancel)

    def stop(self) -> None:
        """The session has ended: nothing further is begun."""
        self._worker.cancel()
        self._looks.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs (for tests and scripts). Returns whether that is so."""
        return self._worker.wait(timeout)

    def ready_to_look(self, then: Callable[[], object]) -> bool:
        """Whether the selected block, and the one that is asked about, can be looked into at once.

        If not (the text is long), they are run again in a thread, and then ``then`` is called on the session's own.
        """
        trace, layers = self.trace, {self.layer}
        asked = split_name(self.question.name)[0] if self.question is not None else None
        if trace is not None:
            last = trace.anatomy.n_layers - 1
            layers = {min(layer, last) for layer in (self.layer, asked) if layer is not None}
        return self._looks.ready(trace, layers, then)

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

    def _waits(self, place: int | None) -> None:
        """Shows the worker's place in the queue for the model; None: it has its turn now."""
        if self.progress is None or self.progress.place is None:
            self._before_wait = self.progress
        if place is None:
            self.progress = self._before_wait
            return
        text = _("Place {n} in the queue for the model").format(n=place)
        if not place:
            text = _("The model is already running this text for another visitor: both get the result")
        self.progress = Progress(self._stage("wait"), message=text, place=place)

    def _reads(self, part: float) -> None:
        """Shows how much of the text the model has read, from 0 to 1."""
        text = _("The model is reading the text: {percent} %").format(percent=int(100 * part))
        self.progress = Progress(self._stage("read"), message=text)

    def _stage(self, stage: str) -> str:
        """The stage that a report has: during a generation it stays ``"generate"``."""
        return "generate" if self.progress is not None and self.progress.stage == "generate" else stage

    def _show_step(self, result: Result) -> None:
        try:
            self._show(result)
        finally:
            self._pacing.shown()

    def _submit(self, job: Job) -> None:
        """Give a job to the worker. What it raises becomes a sentence in `error`; what a watcher of the state raises does not."""

        def guarded(cancel: threading.Event, publish: Dispatch) -> None:
            of_watchers: list[BaseException] = []

            def show(result: Callable[[], object]) -> None:
                try:
                    publish(result)
                except Exception as error:
                    of_watchers.append(error)
                    raise

            try:
                with working_under(self.allowed(cancel)):
                    job(cancel, show)
            except BaseException as error:
                # in the caller's own thread, Ctrl-C and sys.exit are the caller's; in the worker's they would end it
                foreign = not self._prepares and not isinstance(error, Exception)
                # the work was done: the error is of a function that watches the state, and is raised there
                if foreign or error in of_watchers:
                    raise
                publish(partial(self._fail, error))

        self.param.update(busy=True, progress=None, error=None, notice=None)
        try:
            self._worker.submit(guarded)
        except RuntimeError as error:
            if not self._prepares:
                raise
            self._fail(error)


def _needed(model: LanguageModel | None, saved: bool) -> LanguageModel:
    """The model, or a sentence why nothing can be run without one."""
    if model is not None:
        return model
    if saved:
        raise Unsupported(
            _("This run was opened from a file without its model: you can look at it, but not continue it.")
        )
    raise Unsupported(_("No model is loaded yet. Choose one first."))
