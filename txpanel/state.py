"""The one core that all views share: a text, a model, the run of the model on the text, and what is looked at.

Everything is a ``param``: whoever wants to follow something watches it. There is no server and no Panel in here.
Without a ``dispatch`` each change blocks until its result is there (scripts, notebooks); with one, the model runs in a
thread of its own and results arrive through ``dispatch`` on the session's thread, the newest request winning.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import param

from txpanel import jobs
from txpanel.errors import Cancelled, EmptyText, Unsupported
from txpanel.focus import PLACES, Focus, Question
from txpanel.history import History
from txpanel.jobs import Result
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.prompt import Prompt
from txpanel.sampling import FIELDS, Sample, Settings
from txpanel.sharing import shared_model
from txpanel.tracing.trace import Trace
from txpanel.worker import Dispatch, Job, Worker

__all__ = ["ModelState", "Question"]

_NAMES = ("model_name", "model_reason")


class ModelState(Focus):
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

    model = param.Parameter(None, allow_refs=False, doc="The `LanguageModel` that runs; None until one is there.")
    model_name = param.String("", doc="Name under which the model was asked for.")
    model_reason = param.String("", doc="A sentence: why this model runs.")
    text = param.String("", doc="The text; setting it runs the model.")
    stale = param.Boolean(False, doc="Whether `trace` belongs to another text or model than those set.")
    temperature = param.Number(1.0, bounds=(0, None), doc="Divides the logits; 0 takes the likeliest token.")
    top_k = param.Integer(0, bounds=(0, None), doc="Keep the k likeliest tokens; 0 is off.")
    top_p = param.Number(1.0, bounds=(0, 1), doc="Keep the likeliest tokens that reach this probability; 1 is off.")
    min_p = param.Number(0.0, bounds=(0, 1), doc="Keep tokens this share as likely as the likeliest; 0 is off.")
    seed = param.Integer(0, bounds=(0, None), doc="Of the next draw; each appended token moves it on by one.")
    typical_p = param.Number(
        1.0,
        bounds=(0, 1),
        inclusive_bounds=(False, True),
        doc="Keep tokens of typical surprisal that reach this; 1 is off.",
    )
    repetition_penalty = param.Number(
        1.0,
        bounds=(0, None),
        inclusive_bounds=(False, True),
        doc="Above 1 makes tokens of the text less likely; 1 is off.",
    )
    no_repeat_ngram_size = param.Integer(0, bounds=(0, None), doc="Repeat no run of this many tokens; 0 is off.")
    sampled = param.ClassSelector(class_=Sample, doc="Stages and draw for the last position with these settings.")
    busy = param.Boolean(False, doc="Whether the model runs or is being loaded.")
    progress = param.ClassSelector(class_=Progress, doc="How far something slow has come; None otherwise.")
    error = param.String(None, allow_None=True, doc="A sentence: what went wrong with the newest request.")
    notice = param.String(None, allow_None=True, doc="A sentence that is no error, such as why generating ended.")
    can_undo = param.Boolean(False, doc="Whether `undo` has somewhere to go.")
    can_redo = param.Boolean(False, doc="Whether `redo` has somewhere to go.")

    def __init__(
        self,
        *,
        dispatch: Dispatch | None = None,
        permit: Callable[[str], None] | None = None,
        device: str = "cpu",
        dtype: Any = None,
        **params: Any,
    ) -> None:
        self._worker = Worker(dispatch)
        self._permit, self._device, self._dtype = permit, device, dtype
        self._prompt = Prompt()
        self._texts: History[Prompt] = History()
        self._shown: Trace | None = None  # the trace that this state itself put up
        self._known: LanguageModel | None = None  # the model that runs are made with
        self._query_chosen = "query" in params
        saved = params.pop("trace", None)
        super().__init__(**params)
        if saved is not None:
            self.trace = saved
        elif self.model is not None or self.text:
            self._known = self.model
            self.param.update(**self._named() | {name: params[name] for name in _NAMES if name in params})
            self._edited()

    @property
    def settings(self) -> Settings:
        """The sampling settings as one value."""
        return Settings(**{name: getattr(self, name) for name in FIELDS})

    # what can be asked of it ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the model on the text as it stands."""
        prompt, settings = self._prompt, self.settings
        if self.model is not None:  # else the text waits for its model
            self._start(lambda model, cancel: [jobs.run(model, prompt, settings)])

    def append(self, token: int | None = None) -> None:
        """Append a token and run the model on it.

        Args:
            token: its id; None for the one that `sampled` drew.
        """
        prompt, settings = self._prompt, self.settings
        if token is None and self.sampled is not None:
            token = self.sampled.token
        if token is not None:
            chosen = int(token)
            self._start(lambda model, cancel: [jobs.append(model, prompt, settings, chosen)])

    def generate(self, n: int = 20) -> None:
        """Append up to ``n`` drawn tokens, showing each when it is there. `cancel` stops between two of them."""
        prompt, settings, wanted = self._prompt, self.settings, max(1, int(n))
        self._start(lambda model, cancel: jobs.extend(model, prompt, settings, wanted, cancel))

    def load(self, name: str, reason: str = "", *, trusted: bool = False) -> None:
        """Bring a model and run it on the text.

        Args:
            name: catalogue name, hub id, folder or .gguf file.
            reason: a sentence for `model_reason`; by default that it was chosen here.
            trusted: the program's own choice, which `permit` need not allow.
        """
        prompt, settings = Prompt(self.text, seed=self.seed), self.settings  # appended ids were the old tokenizer's
        why = reason or _("You chose it.")

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            if self._permit and not trusted:
                self._permit(name)
            model = self._bring(name, cancel, publish)
            try:
                result = jobs.run(model, prompt, settings)
                jobs.prepare(result.trace, self.layer)
            except Exception as error:
                problem = error  # the name of an except clause does not outlive it
                publish(lambda: self._model_arrived(model, name, why, prompt, problem))
            else:
                publish(lambda: self._model_arrived(model, name, why, prompt, result))

        self._submit(job)

    def cancel(self) -> None:
        """Stop what runs or loads; what is on screen stays."""
        self._worker.cancel()
        self.param.update(busy=False, progress=None)

    def undo(self) -> None:
        """Bring back the text of before."""
        self._return_to(self._texts.back())

    def redo(self) -> None:
        """Bring back the text from which `undo` came."""
        self._return_to(self._texts.forward())

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

    @param.depends("text", watch=True)
    def _text_set(self) -> None:
        if self.text != self._prompt.text:
            self._edited()

    @param.depends("model", watch=True)
    def _model_set(self) -> None:
        if self.model is not self._known:
            self._known, self._prompt = self.model, Prompt(self.text, seed=self.seed)
            self.param.update(stale=self.trace is not None, **self._named(), **self._no_questions())
            self.run()

    @param.depends("trace", watch=True)
    def _trace_set(self) -> None:
        if self.trace is not None and self.trace is not self._shown:
            self._adopt(self.trace)

    @param.depends(*FIELDS, watch=True)
    def _settings_set(self) -> None:
        if self._prompt.seed != self.seed:  # undo brings back the text with the draw that it had
            self._prompt = replace(self._prompt, seed=self.seed)
            self._texts.replace(self._prompt)
        if self.trace is not None and (self.sampled is None or self.sampled.settings != self.settings):
            sample, problem = jobs.drawn(self.trace, self.settings)
            told = {"error": problem} if problem or self.sampled is None else {}
            self.param.update(sampled=sample, **told)

    def _edited(self) -> None:
        self._prompt = Prompt(self.text, seed=self.seed)
        self._texts.add(self._prompt)
        self.param.update(stale=self.trace is not None, **self._ways())
        self.run()

    def _return_to(self, prompt: Prompt | None) -> None:
        if prompt is not None:
            self._prompt = prompt
            self.param.update(text=prompt.text, seed=prompt.seed, stale=self.trace is not None, **self._ways())
            self.run()

    def _adopt(self, trace: Trace) -> None:
        """Look at a run that somebody else made: from a file, or from a script."""
        self._known = trace.model
        prompt = Prompt(trace.text, tuple(int(token) for token in trace.tokens.ids), seed=self.seed)
        self._prompt = prompt
        self._texts.add(prompt)
        changes = self._showing(Result(prompt, trace, self.seed, *jobs.drawn(trace, self.settings)))
        name = trace.provenance.get("model", "")
        self.param.update(text=prompt.text, model=trace.model, model_name=name, model_reason="", **changes)

    # the way from a request to what is shown --------------------------------------------------------------------------

    def _start(self, work: Callable[[LanguageModel, threading.Event], Iterable[Result]]) -> None:
        model, saved = self.model, self.trace is not None

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            for result in work(_needed(model, saved), cancel):
                jobs.prepare(result.trace, self.layer)
                publish(partial(self._show, result))

        self._submit(job)

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

    def _show(self, result: Result) -> None:
        self.param.update(**self._showing(result))

    def _showing(self, result: Result) -> dict[str, Any]:
        """All changes of a new result, for one single update; the trace first, since places are clamped to it."""
        trace, sample, problem, changes = result.trace, result.sample, result.problem, dict[str, Any]()
        if result.appended:
            self._prompt = replace(result.prompt, seed=result.seed)
            (self._texts.add if result.appended == 1 else self._texts.replace)(self._prompt)
            changes = {"text": self._prompt.text, "seed": self._prompt.seed}
        elif sample is None or sample.settings != self.settings:  # changed while the model ran
            sample, problem = jobs.drawn(trace, self.settings)
        if self.question is not None and not self.question.fits(len(trace.tokens.ids)):
            changes |= self._no_questions()
        places = self._places(trace)
        self._shown = trace
        now = {"busy": result.progress is not None, "progress": result.progress, "notice": result.notice}
        state = {"trace": trace, "sampled": sample, "stale": False, "error": problem}
        return state | now | changes | self._ways() | places

    def _places(self, trace: Trace) -> dict[str, int]:
        """Where to look in a new trace: as before, but whoever looked from the last token still does."""
        before, last = self._shown if self.trace is not None else None, len(trace.tokens.ids) - 1
        places = {name: getattr(self, name) for name in PLACES}
        follows = not self._query_chosen if before is None else self.query == len(before.tokens.ids) - 1
        self._query_chosen = False
        return places | {"query": last} if follows else places

    def _model_arrived(
        self, model: LanguageModel, name: str, reason: str, prompt: Prompt, outcome: Result | Exception
    ) -> None:
        self._known, self._prompt = model, prompt
        changes: dict[str, Any] = {"model": model, "model_name": name, "model_reason": reason} | self._no_questions()
        if isinstance(outcome, Result):
            changes = self._showing(outcome) | changes
        else:
            told = None if isinstance(outcome, EmptyText) and not prompt.text else jobs.sentence(outcome)
            changes |= {"trace": None, "sampled": None, "stale": False, "busy": False, "progress": None, "error": told}
        self.param.update(**changes)

    def _failed(self, error: Exception) -> None:
        changes: dict[str, Any] = {"busy": False, "progress": None}
        if not isinstance(error, Cancelled):
            changes["error"] = jobs.sentence(error)
        if isinstance(error, EmptyText):  # the picture of a text that is gone would be a lie
            changes |= {"trace": None, "sampled": None, "stale": False} | self._no_questions()
        self.param.update(**changes)

    def _named(self) -> dict[str, str]:
        name = self.model.name if self.model is not None else ""
        return {"model_name": name, "model_reason": _("The program that opened this page chose it.") if name else ""}

    def _ways(self) -> dict[str, bool]:
        return {"can_undo": self._texts.can_go_back, "can_redo": self._texts.can_go_forward}

    def _no_questions(self) -> dict[str, Any]:
        self._trail.clear()
        return {"question": None, "pinned": (), "can_go_back": False, "can_go_forward": False}


def _needed(model: LanguageModel | None, saved: bool) -> LanguageModel:
    if model is not None:
        return model
    if saved:
        raise Unsupported(_("This run was opened from a file without its model: it can be looked at, not continued."))
    raise Unsupported(_("No model is loaded yet. Choose one first."))
