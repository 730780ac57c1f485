"""From a result of the worker to what is shown: all changes of a run at once, in one event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import param

from txpanel.decoding import Settings
from txpanel.errors import Cancelled, EmptyText
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.history import History
from txpanel.session.jobs import Result
from txpanel.session.sampling_params import SamplingParams, values
from txpanel.session.selection import PLACES
from txpanel.session.token_tree import TokenTree
from txpanel.tracing.trace import Trace


@dataclass(frozen=True)
class UndoEntry:
    """What undo brings back: the text with all that was generated from it, where we were in it, and the settings."""

    tree: TokenTree
    settings: Settings


class Results(SamplingParams):
    """The part of `ModelState` that takes over what the worker has done."""

    model = param.Parameter(None, allow_refs=False, doc="The `LanguageModel` that runs; None until one is there.")
    model_name = param.String("", doc="Name under which the model was asked for.")
    model_reason = param.String("", doc="A sentence: why this model runs.")
    text = param.String("", doc="The text; setting it runs the model.")
    chat = param.Boolean(
        False, doc="Whether the text is a person's turn in a conversation, in the model's chat template."
    )
    tree = param.ClassSelector(
        class_=TokenTree, default=TokenTree(), doc="What was generated, step by step, and where we are in it."
    )
    stale = param.Boolean(False, doc="Whether `trace` belongs to another text or model than those set.")
    busy = param.Boolean(False, doc="Whether the model runs or is being loaded.")
    progress = param.ClassSelector(class_=Progress, doc="How far something slow has come; None otherwise.")
    error = param.String(None, allow_None=True, doc="A sentence: what went wrong with the newest request.")
    notice = param.String(None, allow_None=True, doc="A sentence that is no error, such as why generating ended.")
    can_undo = param.Boolean(False, doc="Whether `undo` has somewhere to go.")
    can_redo = param.Boolean(False, doc="Whether `redo` has somewhere to go.")

    def __init__(self, **params: Any) -> None:
        self._history: History[UndoEntry] = History()
        self._tips: dict[int, Settings] = {}  # at ends of branches: the settings that somebody left there
        self._shown: Trace | None = None  # the trace that this state itself put up
        self._known: LanguageModel | None = None  # the model that runs are made with
        self._query_chosen = "query" in params
        super().__init__(**params)

    def _show(self, result: Result) -> None:
        self.param.update(**self._showing(result))

    def _pass_by(self, result: Result) -> None:
        """Of a step that others follow at once: the token only. The picture is still that of an earlier one, and says so."""
        tree = result.tree
        (self._history.add if result.appended == 1 else self._history.replace)(UndoEntry(tree, result.settings))
        text = tree.prompt(tree.at).text
        self.param.update(tree=tree, text=text, progress=result.progress, stale=True, **self._ways())

    def _showing(self, result: Result) -> dict[str, Any]:
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
            (self._history.add if result.appended == 1 else self._history.replace)(UndoEntry(tree, settings))
        if sample is None or sample.settings != settings:
            sample, problem = jobs.drawn(trace, settings)
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
        self, model: LanguageModel, name: str, reason: str, tree: TokenTree, outcome: Result | Exception
    ) -> None:
        self._known = model
        changes: dict[str, Any] = {"model": model, "model_name": name, "model_reason": reason} | self._no_questions()
        if isinstance(outcome, Result):
            changes = self._showing(outcome) | changes
        else:
            told = None if isinstance(outcome, EmptyText) and not tree.root.text else jobs.sentence(outcome)
            changes |= {"trace": None, "sampled": None, "stale": False, "busy": False, "progress": None, "error": told}
            changes |= {"tree": tree, "chat": tree.root.chat}
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
        return {"can_undo": self._history.can_go_back, "can_redo": self._history.can_go_forward}

    def _no_questions(self) -> dict[str, Any]:
        self._trail.clear()
        return {"question": None, "pinned": (), "can_go_back": False, "can_go_forward": False}
