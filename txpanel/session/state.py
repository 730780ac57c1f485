"""The one core that all views share: a text, a model, the run of the model on the text, and what is in focus.

Everything is a ``param``, so all of it can be watched. There is no server and no Panel in here.
Without a ``dispatch`` each change blocks until its result is there (scripts, notebooks); with one, the model runs in a
thread of its own and results arrive through ``dispatch`` on the session's thread, the newest request winning.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import param

from txpanel.decoding import FIELDS
from txpanel.models.allowance import OnRefusal
from txpanel.models.limits import UNLIMITED, Limits
from txpanel.models.memory import MEMORY
from txpanel.session import jobs
from txpanel.session.background_work import BackgroundWork
from txpanel.session.generation import Generation
from txpanel.session.model_and_text import ModelAndText
from txpanel.session.results import Results
from txpanel.session.sampling_params import SamplingParams, values
from txpanel.session.selection import Question, Selection
from txpanel.session.undo import Undo
from txpanel.session.worker import Dispatch

__all__ = ["ModelState", "Question"]


class ModelState(
    Selection,  # where to look, and what is asked: trace, layer, head, query, key, neuron, question; focus, ask, back, pin
    SamplingParams,  # how the next token is drawn: temperature, top_k, ...; settings, sampled
    ModelAndText,  # model, text, chat; load
    Generation,  # what was generated: tree; run, append, generate, cancel, go, switch, restore
    Undo,  # can_undo, can_redo; undo, redo
    Results,  # what the worker has done becomes what is shown: stale
    BackgroundWork,  # what the worker is asked for: busy, progress, error, notice; wait, follow_page, seen
):
    """The shared state of one session.

    Args:
        dispatch: calls a function on the session's thread. None: each change blocks until its result is there.
        visitor: whose session it is: a model works for one visitor after the other, not for one session after the other.
        permit: is given a model's name before it is loaded and raises a `TxpanelError` to refuse it.
        limits: what one request may use, such as tokens and seconds. refused: called for each refusal.
        device: where loaded models run.
        dtype: type of their weights; None for the one they were saved with.
        usual: the settings that a page begins with, a value for each stage. While they are unchanged, a conversation or another model
            replaces them by its own. Empty: none yet, the next model brings them. None: settings change only where they are set.
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
        visitor: Hashable = None,
        permit: Callable[[str], None] | None = None,
        limits: Limits = UNLIMITED,
        refused: OnRefusal | None = None,
        device: str = "cpu",
        dtype: Any = None,
        usual: Mapping[str, float] | None = None,
        **params: Any,
    ) -> None:
        saved = params.pop("trace", None)
        self._screen = object()
        weakref.finalize(self, MEMORY.leave, self._screen).atexit = False
        super().__init__(
            dispatch=dispatch, visitor=visitor, permit=permit, limits=limits, refused=refused,
            device=device, dtype=dtype, usual=usual, **params,
        )  # fmt: skip
        if saved is not None:
            self.trace = saved
        elif self.model is not None or self.text:
            self._own_model = self.model
            given = {name: params[name] for name in ("model_name", "model_reason") if name in params}
            self.param.update(**self._name_of_model() | given)
            self._begin_tree()

    def close(self) -> None:
        """The session is over: stop, and hold neither runs nor models any more."""
        self._worker.cancel()
        self._looks.close()
        with param.parameterized.discard_events(self):
            self.param.update(trace=None, model=None, sampled=None, question=None, busy=False, progress=None)
        self._own_trace = self._own_model = None
        MEMORY.leave(self._screen)

    def _mark_trace(self) -> None:
        """What is on a screen is the last to go when memory is short."""
        if self.trace is None:
            MEMORY.leave(self._screen)
        else:
            MEMORY.show(self._screen, self.trace, owner=self.trace.uid, sizes=self.trace.storages())

    # What follows from a change that came from outside ----------------------------------------------------------------

    @param.depends("text", "chat", watch=True)
    def _on_text(self) -> None:
        if self.text != self.tree.prompt(self.tree.at).text or self.chat != self.tree.root.chat:
            usual = self._usual_for(self.model, self.chat) if self.chat != self.tree.root.chat else None
            if usual is not None:
                self.param.update(**values(usual))
            self._begin_tree()

    @param.depends("model", watch=True)
    def _on_model(self) -> None:
        if self.model is not self._own_model:
            self._model_was_set()

    @param.depends("trace", watch=True)
    def _on_trace(self) -> None:
        self._mark_trace()  # first: setting a trace from outside goes on below
        if self.trace is not None and self.trace is not self._own_trace:
            self._adopt(self.trace)

    @param.depends("query", watch=True)
    def _on_query(self) -> None:
        if self.trace is not None and self.trace is self._own_trace and not self.stale:
            self._answer_at(self.query)

    @param.depends(*FIELDS, watch=True)
    def _on_settings(self) -> None:
        self._remember_settings()
        if self.trace is not None and (self.sampled is None or self.sampled.settings != self.settings):
            sample, problem = jobs.drawn(self.trace, self.settings)
            said = {"error": problem} if problem or self.sampled is None else {}
            self.param.update(sampled=sample, **said)
