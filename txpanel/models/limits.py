"""How much one visitor, one address and all together may ask of a server: each limit, its two defaults, and its words.

There are two sets: `GENEROUS` for whoever sits at this machine, `STRICT` for all others. An operator changes single ones by
environment variable or option. A program without a server (a notebook, a script) has `UNLIMITED`, in which only the size of a tree is
bounded: a short link may hold a tree that takes all memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from txpanel.messages import _
from txpanel.models.environment import environment

__all__ = ["GENEROUS", "STRICT", "UNLIMITED", "Limits", "limits", "option", "words"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest numbers that are allowed; 0: no limit. Each is described in `words`."""

    max_sessions: int = 0
    max_sessions_per_address: int = 0
    max_pages_per_minute: int = 0
    max_messages_per_second: int = 0
    max_messages_per_second_per_address: int = 0
    max_message_mb: int = 0
    max_upload_mb: int = 0
    max_tokens: int = 0
    max_new_tokens: int = 0
    max_branches: int = 0
    max_tree_tokens: int = 0
    max_beams: int = 0
    max_seconds: int = 0

    @property
    def characters(self) -> float:
        """Most characters of a text that is tokenized at all: tokenizing more would itself take seconds."""
        by_tokens = PER_TOKEN * self.max_tokens or math.inf
        by_message = self.max_message_mb * 1_000_000 // 4 or math.inf
        return min(by_tokens, by_message)


PER_TOKEN = 40
"""Characters of a token, at most: a text that would need longer ones is refused before it is tokenized."""

GENEROUS = Limits(
    max_sessions=200,
    max_sessions_per_address=200,
    max_pages_per_minute=1200,
    max_messages_per_second=400,
    max_messages_per_second_per_address=0,
    max_message_mb=20,
    max_upload_mb=128,
    max_tokens=0,
    max_new_tokens=1000,
    max_branches=500,
    max_tree_tokens=10_000,
    max_beams=8,
    max_seconds=900,
)
"""For visitors on this machine."""

STRICT = Limits(
    max_sessions=100,
    max_sessions_per_address=80,
    max_pages_per_minute=300,
    max_messages_per_second=100,
    max_messages_per_second_per_address=2000,
    max_message_mb=4,
    max_upload_mb=16,
    max_tokens=1024,
    max_new_tokens=200,
    max_branches=100,
    max_tree_tokens=2000,
    max_beams=4,
    max_seconds=120,
)
"""For all others: a class of 60 behind one address, with reloads."""

UNLIMITED = Limits(max_branches=500, max_tree_tokens=20_000)
"""Without a server."""


def limits(*, public: bool) -> Limits:
    """The limits as they are now: the defaults, with what the operator has set.

    Args:
        public: whether strangers may be on the other side.
    """
    return replace(STRICT if public else GENEROUS, **environment().limits)


def option(name: str) -> str:
    """The command line's option for a limit: ``--max-tokens``."""
    return f"--{name.replace('_', '-')}"


def words() -> dict[str, str]:
    """What each limits, by name; for the command line and docs/reference.md."""
    return {
        "max_sessions": _("open pages in total; further visitors wait for a place"),
        "max_sessions_per_address": _("open pages of one address, such as a school's"),
        "max_pages_per_minute": _("requests for a page or a connection from one address per minute"),
        "max_messages_per_second": _("messages of one page per second; more are slowed down"),
        "max_messages_per_second_per_address": _(
            "messages of all pages of one address per second; more are slowed down"
        ),
        "max_message_mb": _("megabytes of one message"),
        "max_upload_mb": _("megabytes of a file that is opened"),
        "max_tokens": _("tokens of a text, generated ones included"),
        "max_new_tokens": _("tokens generated at a time"),
        "max_branches": _("branches of generated text"),
        "max_tree_tokens": _("tokens of all branches together"),
        "max_beams": _("beams of a beam search"),
        "max_seconds": _("seconds that the model works on one request"),
    }
