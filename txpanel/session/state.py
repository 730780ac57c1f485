"""The one core that all views share: a text, a model, the run of the model on the text, and what is looked at.

Everything is a ``param``: whoever wants to follow something watches it. There is no server and no Panel in here.
Without a ``dispatch`` each change blocks until its result is there (scripts, notebooks); with one, the model runs in a
thread of its own and results arrive through ``dispatch`` on the session's thread, the newest request winning.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import param

from txpanel.decoding import FIELDS, Settings
from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models import chat
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.prompt import Prompt
from txpanel.session.results import Results, UndoEntry
from txpanel.session.sampling_params import values
from txpanel.session.selection import Question
from txpanel.session.shared import shared_model
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord
from txpanel.session.worker import Dispatch, Job, Worker
from txpanel.tracing.trace import Trace

__all__ = ["ModelState", "Question"]

_NAMES = ("model_name", "model_reason")
EVERY = 0.8
"""Seconds at least between two complete pictures while it generates as fast as it goes."""
PATIENCE = 10.0
"""Seconds that a step waits for a page that says nothing."""


class ModelState(Results):
    """The shared state of one session.

    Args:
        dispatch: calls a function on the session's thread. None: each change blocks until its result is there.
        permit: is given a model's name before it is loaded and raises a `TxpanelError` to refuse it.
        device: where loaded models run.
        dtype: type of their weights; None for the one they were saved with.
        params: any parameter: ``model`` and ``text``, or a saved ``trace`` to look at instead, and for example
            ``layer=3``, which is clamped as soon as the trace is there.

    Example:
        >>> state = ModelState(model=txpanel.load("nano"), text="cab")
        >>> state.param.watch(lambda event: print(event.new.text), "trace")
        >>> state.focus(layer=1, head=2)
    """

    def __init__(
        self,
        *,
        dispatch: Dispatch | None = None,
        permit: Callable[[str], None] | None = None,
        device: str = "cpu",
        dtype: Any = None,
        **params: Any,
    ) -> None:
        self._worker, self._looks = Worker(dispatch), dispatch is not None
        self._permit, self._device, self._dtype = permit, device, dtype
        self._paged, self._seen = False, threading.Event()
        self._awaited: TreeRecord | None = None  # a tree to be made again when its model is there
        saved = params.pop("trace", None)
        super().__init__(**params)
        if saved is not None:
            self.trace = saved
        elif self.model is not None or self.text:
            self._known = self.model
            self.param.update(**self._named() | {name: params[name] for name in _NAMES if name in params})
            self._edited()

    @property
    def film(self) -> TokenTree:
        """The old name of `tree`; goes in 0.3."""
        warnings.warn("ModelState.film is ModelState.tree now", DeprecationWarning, stacklevel=2)
        return self.tree

    # what can be asked of it ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the model on the text as it stands, with what was generated up to here."""
        tree, settings = self.tree, self.settings
        if self.model is not None:  # else the text waits for its model
            self._start(lambda model, cancel: [jobs.run(model, tree, settings)])

    def append(self, token: int | Sequence[int] | None = None) -> None:
        """Append a token, or several, and run the model on them; in the middle of a tree that is another branch.

        Args:
            token: its id, or ids; None for the one that `sampled` drew.
        """
        tree, settings = self.tree, self.settings
        tokens = None if token is None else list(token) if isinstance(token, Sequence) else [int(token)]
        if tokens or (tokens is None and self.sampled is not None):
            self._start(lambda model, cancel: [jobs.append(model, tree, settings, tokens)])

    def generate(self, n: int | None = 20, pace: float = 0.0) -> None:
        """Append drawn tokens, showing each when it is there. `cancel` stops between two of them.

        Args:
            n: at most so many; None: until the model ends the text or is full.
            pace: seconds to wait between two, for people to follow.
        """
        tree, settings, wanted = self.tree, self.settings, None if n is None else max(1, int(n))
        self._start(lambda model, cancel: jobs.extend(model, tree, settings, wanted, cancel, pace), brisk=not pace)

    def go(self, node: int) -> None:
        """Look at another step of the tree: every view follows, and the draw is the one that was made there.

        Raises:
            IndexError: the tree has no such node.
        """
        tree = self.tree.go(node)
        if self.tree.following(self.tree.at) is None:
            self._tips[self.tree.at] = self.settings
        left = self._tips.get(node) if tree.following(node) is None else None
        settings = left or replace(self.settings, seed=tree.settings(node).seed)
        if tree.following(node) is not None:
            settings = tree.settings(node)
        self._start(lambda model, cancel: [replace(jobs.run(model, tree, settings), visit=True)])

    def switch(self, leaf: int) -> None:
        """Look at the end of another branch.

        Raises:
            IndexError: the tree has no such node.
        """
        self.go(self.tree.end(leaf))

    def restore(self, record: TreeRecord, model: str = "") -> None:
        """Bring a tree back, with its model if that is another one; it waits until one is there."""
        self._awaited, tree = record, TokenTree(Prompt(record.text, chat=record.chat))
        with param.parameterized.discard_events(self):
            self.param.update(text=record.text, chat=record.chat, tree=tree)
        self.param.update(stale=self.trace is not None)
        self.param.trigger("text", "chat", "tree")
        if model and model != self.model_name:
            self.load(model, _("The run that was opened was made with it."))
        elif self.model is not None:
            self._awaited, settings = None, self.settings
            self._start(lambda model, cancel: [jobs.restore(model, record, settings)])

    def load(self, name: str, reason: str = "", *, trusted: bool = False) -> None:
        """Bring a model and run it on the text.

        Args:
            name: catalogue name, hub id, folder or .gguf file.
            reason: a sentence for `model_reason`; by default that it was chosen here.
            trusted: the program's own choice, which `permit` need not allow.
        """
        settings, why, awaited = self.settings, reason or _("You chose it."), self._awaited
        talk = self.chat or (awaited is not None and awaited.chat)

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            if self._permit and not trusted:
                self._permit(name)
            model = self._bring(name, cancel, publish)
            # appended ids were the old tokenizer's: what is left is the text
            tree = TokenTree(Prompt(self.tree.root.text, chat=talk and chat.has_template(model)))
            try:
                result = jobs.restore(model, awaited, settings) if awaited else jobs.run(model, tree, settings)
                jobs.prepare(result.trace, self.layer)
            except Exception as error:
                problem = error  # the name of an except clause does not outlive it
                publish(lambda: self._model_arrived(model, name, why, tree, problem))
            else:
                publish(lambda: self._model_arrived(model, name, why, tree, result))

        self._awaited = None
        self._submit(job)

    def cancel(self) -> None:
        """Stop what runs or loads; what is on screen stays."""
        self._worker.cancel()
        generating = self.progress is not None and self.progress.stage == "generate"
        tree = self.tree.marked(self.tree.at, "stopped") if generating and self.tree.at else self.tree
        if tree is not self.tree:
            self._history.replace(UndoEntry(tree, self.settings))
        self.param.update(busy=False, progress=None, tree=tree)
        if generating and self.stale:  # the last steps passed by without their run
            self.run()

    def follow_page(self) -> None:
        """From now on each generated step waits until `seen` says that the page has drawn it.

        Of fast ones, some pass by with their token alone; the run follows about once a second, and at the end.
        """
        self._paged = True

    def seen(self) -> None:
        """The page has drawn the newest step."""
        self._seen.set()

    def undo(self) -> None:
        """Take the last change back: of the text, of what was generated, of a branch or of a setting."""
        self._return_to(self._history.back())

    def redo(self) -> None:
        """Make the change again that `undo` took back."""
        self._return_to(self._history.forward())

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs (for tests and scripts). Returns whether that is so."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """The session is over: stop, and hold neither runs nor models any more."""
        self._worker.cancel()
        with param.parameterized.discard_events(self):
            self.param.update(trace=None, model=None, sampled=None, question=None, busy=False, progress=None)
        self._shown = self._known = None

    # changes from outside ---------------------------------------------------------------------------------------------

    @param.depends("text", "chat", watch=True)
    def _text_set(self) -> None:
        root = self.tree.root
        if self.text != self.tree.prompt(self.tree.at).text or self.chat != root.chat:
            self._edited()

    @param.depends("model", watch=True)
    def _model_set(self) -> None:
        if self.model is not self._known:
            self._known = self.model
            tree = TokenTree(Prompt(self.text, chat=self.chat and chat.has_template(self.model)))
            told = {"stale": self.trace is not None, "tree": tree, "chat": tree.root.chat}
            self.param.update(**told, **self._named(), **self._no_questions())
            self.run()

    @param.depends("trace", watch=True)
    def _trace_set(self) -> None:
        if self.trace is not None and self.trace is not self._shown:
            self._adopt(self.trace)

    @param.depends(*FIELDS, watch=True)
    def _settings_set(self) -> None:
        self._remember_settings()
        if self.trace is not None and (self.sampled is None or self.sampled.settings != self.settings):
            sample, problem = jobs.drawn(self.trace, self.settings)
            told = {"error": problem} if problem or self.sampled is None else {}
            self.param.update(sampled=sample, **told)

    def _remember_settings(self) -> None:
        """For undo. A slider that is drawn through many values is one change."""
        now, history = self.settings, self._history
        last, before = history.current, history.entries[history.place - 1] if history.can_go_back else None
        if last is None or last.settings == now:
            return
        moving = _differing(last.settings, now)
        same = before is not None and before.tree is last.tree and _differing(before.settings, last.settings) == moving
        (history.replace if same and not history.can_go_forward else history.add)(UndoEntry(self.tree, now))
        self.param.update(**self._ways())

    def _edited(self) -> None:
        tree = TokenTree(Prompt(self.text, chat=self.chat))
        self._tips.clear()
        self._history.add(UndoEntry(tree, self.settings))
        self.param.update(stale=self.trace is not None, tree=tree, **self._ways())
        self.run()

    def _return_to(self, moment: UndoEntry | None) -> None:
        if moment is not None:
            tree = moment.tree
            told = {"tree": tree, "text": tree.prompt(tree.at).text, "chat": tree.root.chat}
            self.param.update(**told, **values(moment.settings), stale=self.trace is not None, **self._ways())
            self.run()

    def _adopt(self, trace: Trace) -> None:
        """Look at a run that somebody else made: from a file, or from a script."""
        self._known = trace.model
        ids = tuple(int(token) for token in trace.tokens.ids)
        tree = TokenTree(Prompt(trace.text, ids), ids)
        self._history.add(UndoEntry(tree, self.settings))
        changes = self._showing(Result(tree, trace, self.settings, *jobs.drawn(trace, self.settings)))
        name = trace.provenance.get("model", "")
        self.param.update(model=trace.model, model_name=name, model_reason="", **changes)

    # the way from a request to what is shown --------------------------------------------------------------------------

    def _start(
        self, work: Callable[[LanguageModel, threading.Event], Iterable[Result]], *, brisk: bool = False
    ) -> None:
        model, saved = self.model, self.trace is not None

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            due = 0.0
            for result in work(_needed(model, saved), cancel):
                goes_on, begin, self._seen = result.progress is not None, time.monotonic(), threading.Event()
                passing = brisk and goes_on and self._paged and begin < due
                if passing:
                    publish(partial(self._pass_by, result))
                else:
                    # a script looks at what it wants; a block of each step it passes would fill the memory
                    if self._looks:
                        jobs.prepare(result.trace, self.layer)
                    publish(partial(self._show_and_tell, result))
                while goes_on and not (self._seen.is_set() or cancel.is_set() or time.monotonic() > begin + PATIENCE):
                    self._seen.wait(0.05)  # steps wait for the page, or they pile up and nobody can stop them
                if not passing:  # pictures take at most a third of the time, on whatever machine
                    due = time.monotonic() + max(EVERY, 2 * (time.monotonic() - begin))

        self._submit(job)

    def _show_and_tell(self, result: Result) -> None:
        try:
            self._show(result)
        finally:
            if not self._paged:
                self._seen.set()

    def _submit(self, job: Job) -> None:
        def guarded(cancel: threading.Event, publish: Dispatch) -> None:
            watchers: list[Exception] = []

            def show(result: Callable[[], object]) -> None:
                try:
                    publish(result)
                except Exception as error:
                    watchers.append(error)
                    raise

            try:
                job(cancel, show)
            except Exception as error:
                if error in watchers:  # the work was done; whoever watches the state has failed, and should hear of it
                    raise
                publish(partial(self._failed, error))

        self.param.update(busy=True, progress=None, error=None, notice=None)
        self._worker.submit(guarded)

    def _bring(self, name: str, cancel: threading.Event, publish: Dispatch) -> LanguageModel:
        def tell(progress: Progress) -> None:
            publish(lambda: self.param.update(progress=progress))

        return shared_model(name, device=self._device, dtype=self._dtype, progress=tell, cancel=cancel)


def _differing(a: Settings, b: Settings) -> set[str]:
    """Names of the settings in which two differ."""
    return {name for name in FIELDS if getattr(a, name) != getattr(b, name)}


def _needed(model: LanguageModel | None, saved: bool) -> LanguageModel:
    if model is not None:
        return model
    if saved:
        raise Unsupported(_("This run was opened from a file without its model: it can be looked at, not continued."))
    raise Unsupported(_("No model is loaded yet. Choose one first."))
