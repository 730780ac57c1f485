"""Values of the text and its tokens."""

from __future__ import annotations

from txpanel.errors import Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import value
from txpanel.messages import _


@value("tokens.count", "count")
def _tokens(here: Situation) -> int:
    """Tokens of the text."""
    return len(here.ids)


@value("tokens.characters", "count")
def _characters(here: Situation) -> int:
    """Characters of the text."""
    return len(here.trace.text)


@value("tokens.words", "count")
def _words(here: Situation) -> int:
    """Words of the text, split at blanks."""
    return len(here.trace.text.split())


@value("token", "token", "place")
def _token(here: Situation, at: int) -> int:
    """The token at a position."""
    return int(here.ids[at])


@value("token.id", "count", "place")
def _token_id(here: Situation, at: int) -> int:
    """Its id in the vocabulary."""
    return int(here.ids[at])


@value("first", "place")
def _first(here: Situation) -> int:
    """The first token."""
    return 0


@value("last", "place")
def _last(here: Situation) -> int:
    """The token after which the next one is predicted, or the gap."""
    return int(here.trace.answer)


@value("query", "place")
def _query(here: Situation) -> int:
    """The chosen query."""
    return here.query


@value("key", "place")
def _key(here: Situation) -> int:
    """The chosen key."""
    return here.key


@value("smallest", "place")
def _smallest(here: Situation) -> int:
    """The first token of the text in the order of their spelling, the last one left out."""
    strings = list(here.trace.tokens.strings)[:-1]
    return min(range(len(strings)), key=lambda at: strings[at])


@value("before", "place", "place")
def _before(here: Situation, at: int) -> int:
    """The position before another one."""
    if at == 0:
        raise Unsupported(_("Nothing comes before the first token."))
    return at - 1


@value("middle", "place")
def _middle(here: Situation) -> int:
    """A token in the middle of the text."""
    return len(here.ids) // 2


@value("repeat", "place")
def _repeat(here: Situation) -> int:
    """The last token that has an earlier copy."""
    return _repeated(here)[0]


@value("repeat.after", "place")
def _repeat_after(here: Situation) -> int:
    """The token that followed that copy."""
    return _repeated(here)[1]


def _repeated(here: Situation) -> tuple[int, int]:
    if here.repeat is None:
        raise Unsupported(_("No token of this text occurs twice."))
    return here.repeat
