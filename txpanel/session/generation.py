"""What was generated from the text, as a tree, and the ways through it: append, generate, go, switch, restore."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import param

from txpanel.decoding import Settings
from txpanel.messages import _
from txpanel.session import jobs
from txpanel.session.prompt import Prompt
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord


class Generation(param.Parameterized):
    """The part of `ModelState` that appends tokens and moves in their tree. It asks for runs with `_start` of `BackgroundWork`."""

    tree = param.ClassSelector(
        class_=TokenTree, default=TokenTree(), doc="What was generated, step by step, and where we are in it."
    )

    _to_restore: TreeRecord | None  # of `ModelAndText`, which restores it when the model is there

    def __init__(self, **params: Any) -> None:
        self._left_at: dict[
            int, Settings
        ] = {}  # last node of a branch -> the settings that were in use when it was left
        super().__init__(**params)

    @property
    def film(self) -> TokenTree:
        """The old name of `tree`; goes in 0.3."""
        warnings.warn("ModelState.film is ModelState.tree now", DeprecationWarning, stacklevel=2)
        return self.tree

    def run(self) -> None:
        """Run the model on the text as it stands, with what was generated up to here."""
        tree, settings = self.tree, self.settings
        if self.model is not None:  # else the text waits for its model
            self._start(lambda model, cancel: [jobs.run(model, tree, settings)])

    def append(self, token: int | Sequence[int] | None = None) -> None:
        """Append a token, or several, and run the model on them; in the middle of a tree that is another branch.

        With a model that fills gaps (such as BERT): put the token into the gap that is being predicted.

        Args:
            token: its id, or ids; None for the one that `sampled` drew.
        """
        tree, settings = self.tree, self.settings
        tokens = None if token is None else list(token) if isinstance(token, Sequence) else [int(token)]
        if self.model is not None and self.model.anatomy.fills:
            self._fill(tokens)
            return
        if tokens or (tokens is None and self.sampled is not None):
            self._start(lambda model, cancel: [jobs.append(model, tree, settings, tokens)])

    def _fill(self, tokens: list[int] | None) -> None:
        chosen = tokens[0] if tokens else self.sampled.token if self.sampled is not None else None
        if chosen is not None and self.trace is not None and not self.stale:
            self.text = jobs.filled(self.trace, int(chosen))

    def generate(self, n: int | None = 20, pace: float = 0.0) -> None:
        """Append drawn tokens, showing each when it is there. `cancel` stops between two of them.

        Args:
            n: at most so many; None: until the model ends the text or is full.
            pace: seconds to wait between two, for people to follow.
        """
        tree, settings, wanted = self.tree, self.settings, None if n is None else max(1, int(n))
        self._start(lambda model, cancel: jobs.extend(model, tree, settings, wanted, cancel, pace), fast=not pace)

    def cancel(self) -> None:
        """Stop what runs or loads; what is on screen stays."""
        self._worker.cancel()
        generating = self.progress is not None and self.progress.stage == "generate"
        waited = self.progress is not None and self.progress.place is not None
        tree = self.tree.marked(self.tree.at, "stopped") if generating and self.tree.at else self.tree
        if tree is not self.tree:
            self._remember(tree, self.settings, new=False)
        said = {"notice": _("You left the queue. Press Run to try again.")} if waited and not generating else {}
        self.param.update(busy=False, progress=None, tree=tree, **said)
        if generating and self.stale:  # the last steps were shown without their run
            self.run()

    def go(self, node: int) -> None:
        """Look at another step of the tree: every view follows, and the draw is the one that was made there.

        Raises:
            IndexError: the tree has no such node.
        """
        tree = self.tree.go(node)
        if self.tree.following(self.tree.at) is None:
            self._left_at[self.tree.at] = self.settings
        at_end = tree.following(node) is None
        settings = tree.settings(node)
        if at_end:
            settings = self._left_at.get(node) or replace(self.settings, seed=settings.seed)
        self._start(lambda model, cancel: [replace(jobs.run(model, tree, settings), visit=True)])

    def switch(self, leaf: int) -> None:
        """Look at the end of another branch.

        Raises:
            IndexError: the tree has no such node.
        """
        self.go(self.tree.end(leaf))

    def restore(self, record: TreeRecord, model: str = "") -> None:
        """Bring a tree back, with its model if that is another one; it waits until one is there."""
        self._to_restore, tree = record, TokenTree(Prompt(record.text, chat=record.chat))
        with param.parameterized.discard_events(self):
            self.param.update(text=record.text, chat=record.chat, tree=tree)
        self.param.update(stale=self.trace is not None)
        self.param.trigger("text", "chat", "tree")
        if model and model != self.model_name:
            self.load(model, _("The opened run was made with this model."))
        elif self.model is not None:
            self._to_restore, settings = None, self.settings
            self._start(lambda model, cancel: [jobs.restore(model, record, settings)])

    def _begin_tree(self) -> None:
        """The text was edited: a new tree from it, with nothing generated yet."""
        tree = TokenTree(Prompt(self.text, chat=self.chat))
        self._left_at.clear()
        self._remember(tree, self.settings)
        self.param.update(stale=self.trace is not None, tree=tree, **self._undo_params())
        self.run()
