"""Loading a model for a command, with a progress bar in the terminal that Ctrl-C stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import txpanel
from txpanel.server.terminal import Bar, interruptible

if TYPE_CHECKING:
    from txpanel.models.choice import Choice
    from txpanel.models.language_model import LanguageModel

__all__ = ["load_chosen"]


def load_chosen(name: str | None, *, device: str = "cpu", dtype: str | None = None) -> tuple[LanguageModel, Choice]:
    """The model asked for, or the one chosen; its name as it was chosen, and the sentence that says why.

    Raises:
        TxpanelError: in words. Cancelled: after Ctrl-C.
    """
    from txpanel.models.choice import choose  # late: each command imports what it needs

    chosen, bar = choose(name), Bar()
    try:
        with interruptible() as cancel:
            model = txpanel.load(chosen.name, device=device, dtype=dtype, progress=bar, cancel=cancel)
    finally:
        bar.close()
    return model, chosen
