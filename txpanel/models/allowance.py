"""What one request may use: its limits, and how long the model has worked on it. Known to the thread that works on it.

Only the thread's own processor time counts, not the time in which it waits for others or in which the page is drawn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from txpanel.errors import Cancelled, OverLimit, TooLong
from txpanel.messages import _, plural
from txpanel.models.limits import Limits

__all__ = ["Allowance", "OnRefusal", "allowance", "working_under"]

OnRefusal = Callable[[str], object]
"""Called with the kind of each refusal, one of those of `txpanel.server.refusals`."""


@dataclass
class Allowance:
    """What one request may use.

    Attributes:
        limits: that hold for it. refused: called with the kind of each refusal. cancel: when set, nothing more is begun.
    """

    limits: Limits = field(default_factory=Limits)
    refused: OnRefusal = lambda _kind: None
    cancel: threading.Event | None = None
    _begin: float = field(default_factory=lambda: time.thread_time())

    def begin_again(self) -> None:
        """Start measuring the time from now on: what came before, such as loading the model, does not count."""
        self._begin = time.thread_time()

    def check(self) -> None:
        """Check the time; to be called before each step that takes long.

        Raises:
            Cancelled: the request was cancelled. OverLimit: it has taken too long, in words.
        """
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled(_("Stopped."))
        most = self.limits.max_seconds
        if most and time.thread_time() - self._begin > most:
            self.refused("time")
            text = _(
                "Stopped: the model has worked on this for {n} s, the most that this server allows for one request."
            )
            raise OverLimit(text.format(n=most))

    def check_characters(self, text: str) -> None:
        """Whether a text may be tokenized.

        Raises:
            TooLong: in words.
        """
        if len(text) > self.limits.characters:
            self.refused("text")
            words = _("This text has {n:,} characters, and this server accepts at most {most:,}. Shorten it.")
            raise TooLong(words.format(n=len(text), most=int(self.limits.characters)))

    def check_tokens(self, n: int) -> None:
        """Whether the model may run on so many tokens.

        Raises:
            TooLong: in words.
        """
        most = self.limits.max_tokens
        if most and n > most:
            self.refused("text")
            words = plural(
                "This text has {n:,} tokens, and this server accepts at most {most:,}. Shorten it by about {more:,} "
                "token.",
                "This text has {n:,} tokens, and this server accepts at most {most:,}. Shorten it by about {more:,} "
                "tokens.",
                n - most,
            )
            raise TooLong(words.format(n=n, most=most, more=n - most))

    def check_tree(self, tokens: int, branches: int) -> None:
        """Whether what was generated may have so many tokens and branches.

        Raises:
            OverLimit: in words.
        """
        most = self.limits
        if most.max_tree_tokens and tokens > most.max_tree_tokens:
            self.refused("tree")
            words = _(
                "All branches together would have {n:,} tokens, and at most {most:,} are kept. Start with a new text."
            )
            raise OverLimit(words.format(n=tokens, most=most.max_tree_tokens))
        if most.max_branches and branches > most.max_branches:
            self.refused("branches")
            words = _("There would be {n:,} branches, and at most {most:,} are kept. Start with a new text.")
            raise OverLimit(words.format(n=branches, most=most.max_branches))


class _Here(threading.local):
    """The allowance of each thread."""

    allowance = Allowance()


_here = _Here()


def allowance() -> Allowance:
    """The allowance of the request on which this thread works; one without limits where there is none."""
    return _here.allowance


@contextmanager
def working_under(given: Allowance) -> Iterator[Allowance]:
    """Inside, this thread works on one request, with this allowance."""
    before, _here.allowance = _here.allowance, given
    try:
        yield given
    finally:
        _here.allowance = before
