"""The one core that all views share: a text, a model, the run of the model on the text, and what is looked at.

Everything is a ``param``: whoever wants to follow something watches it. There is no server and no Panel in here.
Without a ``dispatch`` each change blocks until its result is there (scripts, notebooks); with one, the model runs in a
thread of its own and results arrive through ``dispatch`` on the session's thread, the newest request winning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.decoding import FIELDS
from txpanel.session import jobs
from txpanel.session.background_work import BackgroundWork
from txpanel.session.generation import Generation
from txpanel.session.model_and_text import ModelAndText
from txpanel.session.results import Results
from txpanel.session.sampling_params import SamplingParams
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
        saved = params.pop("trace", None)
        super().__init__(dispatch=dispatch, permit=permit, device=device, dtype=dtype, **params)
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
        with param.parameterized.discard_events(self):
            self.param.update(trace=None, model=None, sampled=None, question=None, busy=False, progress=None)
        self._own_trace = self._own_model = None

    # What follows from a change that came from outside ----------------------------------------------------------------

    @param.depends("text", "chat", watch=True)
    def _on_text(self) -> None:
        if self.text != self.tree.prompt(self.tree.at).text or self.chat != self.tree.root.chat:
            self._begin_tree()

    @param.depends("model", watch=True)
    def _on_model(self) -> None:
        if self.model is not self._own_model:
            self._model_was_set()

    @param.depends("trace", watch=True)
    def _on_trace(self) -> None:
        if self.trace is not None and self.trace is not self._own_trace:
            self._adopt(self.trace)

    @param.depends(*FIELDS, watch=True)
    def _on_settings(self) -> None:
        self._remember_settings()
        if self.trace is not None and (self.sampled is None or self.sampled.settings != self.settings):
            sample, problem = jobs.drawn(self.trace, self.settings)
            said = {"error": problem} if problem or self.sampled is None else {}
            self.param.update(sampled=sample, **said)
