"""Which model runs, on which text, and the loading of another model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import param

from txpanel.errors import EmptyText
from txpanel.messages import _
from txpanel.models import chat
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session import jobs
from txpanel.session.jobs import Result
from txpanel.session.prompt import Prompt
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
        self._own_model: LanguageModel | None = None  # as this class has set it; another one was set from outside
        self._to_restore: TreeRecord | None = None  # what was generated elsewhere, waiting for its model
        super().__init__(**params)

    def load(self, name: str, reason: str = "", *, trusted: bool = False) -> None:
        """Bring a model and run it on the text.

        Args:
            name: catalogue name, hub id, folder or .gguf file.
            reason: a sentence for `model_reason`; by default that it was chosen here.
            trusted: the program's own choice, which `permit` need not allow.
        """
        settings, why, record = self.settings, reason or _("You chose it."), self._to_restore
        talk = self.chat or (record is not None and record.chat)

        def job(cancel: threading.Event, publish: Dispatch) -> None:
            if self._permit and not trusted:
                self._permit(name)
            model = self._bring(name, cancel, publish)
            # appended ids were the old tokenizer's: what is left is the text
            tree = TokenTree(Prompt(self.tree.root.text, chat=talk and chat.has_template(model)))
            try:
                result = jobs.restore(model, record, settings) if record else jobs.run(model, tree, settings)
                jobs.prepare(result.trace, self.layer)
            except Exception as error:
                problem = error  # the name of an except clause does not outlive it
                publish(lambda: self._model_arrived(model, name, why, tree, problem))
            else:
                publish(lambda: self._model_arrived(model, name, why, tree, result))

        self._to_restore = None
        self._submit(job)

    def _bring(self, name: str, cancel: threading.Event, publish: Dispatch) -> LanguageModel:
        def tell(progress: Progress) -> None:
            publish(lambda: self.param.update(progress=progress))

        return shared_model(name, device=self._device, dtype=self._dtype, progress=tell, cancel=cancel)

    def _model_arrived(
        self, model: LanguageModel, name: str, reason: str, tree: TokenTree, outcome: Result | Exception
    ) -> None:
        """A model is loaded: show it with its run, or with the sentence why there is none."""
        self._own_model = model
        changes: dict[str, Any] = {"model": model, "model_name": name, "model_reason": reason}
        changes |= self._forget_questions()
        if isinstance(outcome, Result):
            changes = self._changes_for(outcome) | changes
        else:
            problem = None if isinstance(outcome, EmptyText) and not tree.root.text else jobs.sentence(outcome)
            changes |= self._without_run() | {"busy": False, "progress": None, "error": problem}
            changes |= {"tree": tree, "chat": tree.root.chat}
        self.param.update(**changes)

    def _model_was_set(self) -> None:
        """Somebody gave the state another model: it runs on the text."""
        self._own_model = self.model
        tree = TokenTree(Prompt(self.text, chat=self.chat and chat.has_template(self.model)))
        changes = {"stale": self.trace is not None, "tree": tree, "chat": tree.root.chat}
        self.param.update(**changes, **self._name_of_model(), **self._forget_questions())
        self.run()

    def _name_of_model(self) -> dict[str, str]:
        name = self.model.name if self.model is not None else ""
        return {"model_name": name, "model_reason": _("The program that opened this page chose it.") if name else ""}
