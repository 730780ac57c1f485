"""Undo and redo of everything a person changes: the text, what was generated, branches, settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import param

from txpanel.decoding import FIELDS, Settings
from txpanel.session.history import History
from txpanel.session.sampling_params import values
from txpanel.session.token_tree import TokenTree


@dataclass(frozen=True)
class UndoEntry:
    """What undo brings back: the text with all that was generated from it, where we were in it, and the settings."""

    tree: TokenTree
    settings: Settings


class Undo(param.Parameterized):
    """The part of `ModelState` that remembers and restores. It sets `tree`, `text`, `chat` and the settings, and runs the model."""

    can_undo = param.Boolean(False, doc="Whether `undo` has somewhere to go.")
    can_redo = param.Boolean(False, doc="Whether `redo` has somewhere to go.")

    def __init__(self, **params: Any) -> None:
        self._history: History[UndoEntry] = History()
        super().__init__(**params)

    def undo(self) -> None:
        """Take the last change back: of the text, of what was generated, of a branch or of a setting."""
        self._return_to(self._history.back())

    def redo(self) -> None:
        """Make the change again that `undo` took back."""
        self._return_to(self._history.forward())

    def _return_to(self, entry: UndoEntry | None) -> None:
        if entry is not None:
            tree = entry.tree
            changes: dict[str, Any] = {"tree": tree, "text": tree.prompt(tree.at).text, "chat": tree.root.chat}
            changes |= values(entry.settings) | self._undo_params()
            self.param.update(**changes, stale=self.trace is not None)
            self.run()

    def _remember(self, tree: TokenTree, settings: Settings, *, new: bool = True) -> None:
        """Note a change.

        Args:
            new: whether undo stops before it; else it counts as part of the change before (further tokens of one generation).
        """
        (self._history.add if new else self._history.replace)(UndoEntry(tree, settings))

    def _remember_settings(self) -> None:
        """Note a changed setting. A slider that is dragged through many values is one change."""
        now, history = self.settings, self._history
        last, before = history.current, history.entries[history.place - 1] if history.can_go_back else None
        if last is None or last.settings == now:
            return
        moving = _differing(last.settings, now)
        same = before is not None and before.tree is last.tree and _differing(before.settings, last.settings) == moving
        self._remember(self.tree, now, new=not same or history.can_go_forward)
        self.param.update(**self._undo_params())

    def _undo_params(self) -> dict[str, bool]:
        return {"can_undo": self._history.can_go_back, "can_redo": self._history.can_go_forward}


def _differing(a: Settings, b: Settings) -> set[str]:
    """Names of the settings in which two differ."""
    return {name for name in FIELDS if getattr(a, name) != getattr(b, name)}
