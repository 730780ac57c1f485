"""What can go wrong, as sentences.

``str(error)`` of every class here is shown to people as it is: it says what happened, why, and what to do.
"""

from __future__ import annotations


class TxpanelError(Exception):
    """Base of all errors that txpanel raises on purpose; ``str()`` is a sentence for the person at the screen."""


class ModelNotFound(TxpanelError):
    """No model by that name: not in the catalogue, not a folder or file, not on the hub (404)."""


class DownloadFailed(TxpanelError):
    """A model exists but could not be brought here: network, permission, licence gate, checksum, disk."""


class Cancelled(TxpanelError):
    """The person asked to stop. Not a fault: callers put the previous state back and say no more."""


class Unsupported(TxpanelError):
    """The model or the quantity cannot be opened here (heads of a state-space layer, remote code...)."""


class NotUsed(Unsupported):
    """A view that was found and is not used; the log knows of it already.

    Attributes:
        off: whether it is switched off; else there is something wrong with it.
    """

    def __init__(self, sentence: str, *, off: bool = False) -> None:
        super().__init__(sentence)
        self.off = off


class Stale(Unsupported):
    """The model has changed since a run was recorded, so what needs its weights of then can't be computed any more."""


class TooLarge(Unsupported):
    """The model needs more memory than there is."""


class TooLong(TxpanelError):
    """The text has more tokens than the model has positions, or than a server takes."""


class OverLimit(TxpanelError):
    """More than a server gives to one visitor: branches, tokens of all branches, time."""


class EmptyText(TxpanelError):
    """There is no token to run the model on."""


class BadText(TxpanelError, ValueError):
    """A text or token ids that the model cannot read: beyond its table, or nothing that its tokenizer takes."""


class NoTokenLeft(TxpanelError, ValueError):
    """The sampling settings removed every token, or made the numbers unusable: there is nothing to draw from."""


class BadFile(TxpanelError):
    """A file is damaged, truncated, foreign or not safe to open."""


class BadLesson(TxpanelError, ValueError):
    """A lesson's file cannot be read, or says something that no page can show."""


class NoSuchTensor(TxpanelError, KeyError):
    """A trace has no tensor of that name, or no cell at that index."""

    def __str__(self) -> str:  # KeyError would show the repr, quotes and all
        return str(self.args[0]) if self.args else ""
