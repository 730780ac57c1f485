"""From a result of the worker to what is shown: all changes of a run at once, in one event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import param

from txpanel.errors import Cancelled, EmptyText
from txpanel.models.encoder_decoder import Reading
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.prompt import Prompt
from txpanel.session.sampling_params import values
from txpanel.session.token_tree import TokenTree
from txpanel.tracing.trace import Trace


class Results(param.Parameterized):
    """The part of `ModelState` that takes over what the worker has done. It sets parameters of all other parts."""

    stale = param.Boolean(False, doc="Whether `trace` belongs to another text or model than those set.")

    def __init__(self, **params: Any) -> None:
        self._own_trace: Trace | None = None  # what this class has set; any other trace was set from outside
        super().__init__(**params)

    def _show(self, result: Result) -> None:
        self.param.update(**self._changes_for(result))

    def _show_token(self, result: Result) -> None:
        """Shows only the token of a step that is followed by others at once. The pictures stay those of an earlier step: `stale` says so."""
        tree = result.tree
        self._remember(tree, result.settings, new=result.appended == 1)
        text = tree.prompt(tree.at).text
        self.param.update(tree=tree, text=text, progress=result.progress, stale=True, **self._undo_params())

    def _changes_for(self, result: Result) -> dict[str, Any]:
        """All changes of a new result, for one single update; the trace first, since places are clamped to it."""
        trace, sample, problem, tree = result.trace, result.sample, result.problem, result.tree
        changes: dict[str, Any] = {}
        settings = self.settings  # they may have been changed while the model ran
        if result.visit:
            settings = result.settings
        elif result.appended:
            settings = replace(settings, seed=result.settings.seed)
        if tree is not self.tree or settings != self.settings:
            changes = {"tree": tree, "text": tree.prompt(tree.at).text, "chat": tree.root.chat, **values(settings)}
            self._remember(tree, settings, new=result.appended == 1)
        places = self._places_in(trace, before=self._own_trace if self.trace is not None else None)
        there = jobs.answering(trace, places["query"])
        if there is not trace or sample is None or sample.settings != settings:
            trace = there
            sample, problem = jobs.drawn(trace, settings)
        read = 0 if trace.source is None else len(trace.source.tokens)
        if self.question is not None and not self.question.fits(len(trace.tokens.ids), read):
            changes |= self._forget_questions()
        self._own_trace = trace
        now = {"busy": result.progress is not None, "progress": result.progress, "notice": result.notice}
        state = {"trace": trace, "sampled": sample, "stale": False, "error": problem}
        return state | now | changes | self._undo_params() | places

    def _answer_at(self, token: int) -> None:
        """With a model that fills gaps: shows what it predicts at the chosen token, if it can predict there."""
        trace = jobs.answering(self.trace, token)
        if trace is not self.trace:
            self._own_trace = trace
            sample, problem = jobs.drawn(trace, self.settings)
            self.param.update(trace=trace, sampled=sample, error=problem)

    def _fail(self, error: BaseException) -> None:
        """A request has failed: show a sentence, unless it was cancelled. What is on screen stays."""
        changes: dict[str, Any] = {"busy": False, "progress": None}
        if not isinstance(error, Cancelled):
            changes["error"] = jobs.sentence(error)
        if isinstance(error, EmptyText):  # the pictures of a text that is gone would be a lie
            changes |= self._without_run() | self._forget_questions()
        self.param.update(**changes)

    def _without_run(self) -> dict[str, Any]:
        return {"trace": None, "sampled": None, "stale": False}

    def _adopt(self, trace: Trace) -> None:
        """Show a run that was set from outside: from a file, or by a script."""
        read = trace.model  # the page cannot give the model another sound or picture, so this reading stays the model
        self._own_model = model = read.first if isinstance(read, Reading) and read.encoder_inputs is None else read
        ids = tuple(int(token) for token in trace.tokens.ids)
        text = trace.text if trace.source is None else trace.source.text
        tree = TokenTree(Prompt(text, ids, apart=trace.source is not None), ids)
        self._remember(tree, self.settings)
        changes = self._changes_for(Result(tree, trace, self.settings, *jobs.drawn(trace, self.settings)))
        name = trace.provenance.get("model", "")
        self.param.update(model=model, model_name=name, model_reason="", **changes)
