"""Which model runs, on which text, and the loading of another model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import param

from txpanel.errors import EmptyText, TxpanelError
from txpanel.messages import _
from txpanel.models import chat
from txpanel.models.allowance import Allowance, allowance, working_under
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.prepared_runs import at_hand
from txpanel.session.prompt import Prompt
from txpanel.session.sampling_params import values
from txpanel.session.shared import shared_model
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord
from txpanel.session.worker import Dispatch


class ModelAndText(param.Parameterized):
    """The part of `ModelState` that holds model and text. A loaded model is shown together with its run on the text."""

    model = param.Parameter(None, allow_refs=False, doc="The `LanguageModel` that runs; None until one is there.")
    model_name = param.String("", doc="Name under which the model was asked for.")
    model_reason = param.String("", doc="A sentence: why this model runs.")
    text = param.String("", doc="The text; setting it runs the model.")
    chat = param.Boolean(
        False, doc="Whether the text is a person's turn in a conversation, in the model's chat template."
    )

    def __init__(
        self,
        *,
        permit: Callable[[str], None] | None = None,
        device: str = "cpu",
        dtype: Any = None,
        **params: Any,
    ) -> None:
        self._permit, self._device, self._dtype = permit, device, dtype
        self._own_model: LanguageModel | None = None  # what this class has set; any other model was set from outside
        self._to_restore: TreeRecord | None = None  # what was generated elsewhere, waiting for its model
        super().__init__(**params)

    def load(self, name: str, reason: str = "", *, trusted: bool = False) -> None:
        """Load a model and run it on the text.

        Args:
            name: catalogue name, hub id, folder or .gguf file.
            reason: a sentence for `model_reason`; by default that it was chosen here.
            trusted: the program's own choice, which `permit` need not allow.
        """

        def bring(cancel: threading.Event, publish: Dispatch) -> LanguageModel:
            if self._permit and not trusted:
                self._permit(name)
            return self._bring(name, cancel, publish)

        record, self._to_restore = self._to_restore, None
        self._exchange(bring, name, reason or _("You chose this model."), record)

    def use_adapters(self, *names: str) -> None:
        """Run with these adapters of the model and no others, in this session alone; the run says so."""
        if self.model is not None:
            model = self.model
            self._exchange(lambda _cancel, _publish: model.with_adapters(*names), self.model_name, self.model_reason)

    def _exchange(
        self,
        bring: Callable[[threading.Event, Dispatch], LanguageModel],
        name: str,
        why: str,
        record: TreeRecord | None = None,
    ) -> None:
        """Run another model on the text, once it is there."""
        settings = self.settings
        talk = self.chat or (record is not None and record.chat)

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            model = bring(cancel, publish)
            before = self.tree
            allowance().begin_again()  # loading is not the model's work
            # appended ids were the old tokenizer's: what is left is the text
            tree = TokenTree(Prompt(before.root.text, chat=talk and chat.has_template(model)))
            try:
                result = jobs.restore(model, record, settings) if record else jobs.run(model, tree, settings)
                jobs.prepare(result.trace, self.layer)
            except Exception as error:
                problem = error  # the name of an except clause does not outlive it
                publish(lambda: self._model_arrived(model, name, why, before, tree, problem))
            else:
                publish(lambda: self._model_arrived(model, name, why, before, tree, result))

        self._submit(job)

    def load_at_once(self, name: str, reason: str, text: str) -> bool:
        """As `load` on a text, but now or not at all: where model and run are kept already, and nothing else is to be shown.

        The caller must have checked that the model is allowed.

        Returns:
            Whether it was done. If not, nothing has changed.
        """
        if self._to_restore is not None or self.chat or self.tree.nodes or self.model is not None:
            return False
        model = at_hand(name, text, self.layer, device=self._device, dtype=self._dtype)
        if model is None:
            return False
        tree = TokenTree(Prompt(text))
        try:
            with working_under(Allowance(self.limits)):  # `load` counts what is refused
                result = jobs.run(model, tree, self.settings)
        except TxpanelError:  # too long for this visitor, for example
            return False
        self._model_arrived(model, name, reason or _("You chose this model."), self.tree, tree, result)
        return True

    def _bring(self, name: str, cancel: threading.Event, publish: Dispatch) -> LanguageModel:
        def tell(progress: Progress) -> None:
            publish(lambda: self.param.update(progress=progress))

        return shared_model(name, device=self._device, dtype=self._dtype, progress=tell, cancel=cancel)

    def _model_arrived(
        self,
        model: LanguageModel,
        name: str,
        reason: str,
        before: TokenTree,
        tree: TokenTree,
        outcome: Result | Exception,
    ) -> None:
        """A model is loaded: show it with its run, or with the sentence why there is none."""
        self._own_model = model
        changes: dict[str, Any] = {"model": model, "model_name": name, "model_reason": reason}
        changes |= self._forget_questions()
        usual = self._usual_for(model, tree.root.chat)
        if self.tree is not before:  # the text has changed meanwhile: this run is of the old one
            bare = TokenTree(Prompt(self.tree.root.text, chat=self.chat and chat.has_template(model)))
            changes |= values(usual) if usual is not None else {}
            self.param.update(**changes, tree=bare, chat=bare.root.chat, stale=self.trace is not None)
            self.run()
            return
        if isinstance(outcome, Result):
            outcome = outcome if usual is None else replace(outcome, settings=usual, visit=True)
            changes = self._changes_for(outcome) | changes
        else:
            problem = None if isinstance(outcome, EmptyText) and not tree.root.text else jobs.sentence(outcome)
            changes |= self._without_run() | {"busy": False, "progress": None, "error": problem}
            changes |= {"tree": tree, "chat": tree.root.chat}
        self.param.update(**changes)

    def _model_was_set(self) -> None:
        """`model` was set from outside: run it on the text."""
        self._own_model = self.model
        tree = TokenTree(Prompt(self.text, chat=self.chat and chat.has_template(self.model)))
        changes = {"stale": self.trace is not None, "tree": tree, "chat": tree.root.chat}
        self.param.update(**changes, **self._name_of_model(), **self._forget_questions())
        self.run()

    def _name_of_model(self) -> dict[str, str]:
        name = self.model.name if self.model is not None else ""
        return {
            "model_name": name,
            "model_reason": _("The program that opened this page chose this model.") if name else "",
        }
