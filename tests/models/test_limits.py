"""The limits: two sets of defaults, an operator's own numbers over both, and words for each."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from txpanel.models.limits import GENEROUS, STRICT, UNLIMITED, Limits, limits, option, words

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_strangers_never_get_more_than_whoever_sits_here(name: str) -> None:
    strict, generous = getattr(STRICT, name), getattr(GENEROUS, name)
    assert strict > 0
    assert strict <= (generous or math.inf)


def test_every_limit_has_words_and_an_option() -> None:
    assert list(words()) == NAMES
    assert option("max_new_tokens") == "--max-new-tokens"


def test_a_class_behind_one_address_is_admitted() -> None:
    """60 people who open the page at once, and all load it again within the minute, with their connections."""
    assert STRICT.max_sessions_per_address >= 60
    assert STRICT.max_pages_per_minute >= 2 * 60
    assert STRICT.max_messages_per_second_per_address >= 60 * 20


def test_an_operators_number_holds_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_TOKENS", "77")
    monkeypatch.setenv("TXPANEL_MAX_SECONDS", "0")
    for public in (True, False):
        assert (limits(public=public).max_tokens, limits(public=public).max_seconds) == (77, 0)
    assert limits(public=True).max_beams == STRICT.max_beams
    assert limits(public=False).max_beams == GENEROUS.max_beams


def test_characters_follow_from_tokens_and_messages() -> None:
    assert Limits(max_tokens=10).characters == 400
    assert Limits(max_tokens=10**6, max_message_mb=1).characters == 250_000
    assert Limits().characters == math.inf


def test_without_a_server_only_a_trees_size_is_bounded() -> None:
    bounded = {name for name in NAMES if getattr(UNLIMITED, name)}
    assert bounded == {"max_branches", "max_tree_tokens"}
