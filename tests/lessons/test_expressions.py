"""Expressions are names, calls, numbers and words, and nothing that could do anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txpanel.errors import BadLesson
from txpanel.lessons.expressions import Call, parse, spelled
from txpanel.lessons.values import VALUES, checked


def test_a_call_with_calls_in_it() -> None:
    assert parse("weight(last, strongest(last))") == Call("weight", (Call("last"), Call("strongest", (Call("last"),))))
    assert parse('largest("a", 1.5, "b", -2)') == Call("largest", ("a", 1.5, "b", -2.0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a +",
        "a.b.",
        "__import__('os')",
        "a[0]",
        "a;b",
        "a(b",
        "a)",
        "(a)",
        "f(,)",
        "lambda: 0",
        "{a}",
        "a b",
        "a." + "b" * 300,
        "f(" * 9 + ")" * 9,
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(BadLesson):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except BadLesson:
        return
    assert parse(spelled(found)) == found


@pytest.mark.parametrize("text", ["nothing.here", "weight(last)", "tokens.count(last)", "token()", 'largest("a", 1)'])
def test_names_and_arguments_are_checked(text: str) -> None:
    with pytest.raises(BadLesson):
        checked(parse(text))


def test_every_value_has_a_kind_or_says_it_itself() -> None:
    assert len(VALUES) > 60
    assert not [name for name, one in VALUES.items() if one.kind is None]
