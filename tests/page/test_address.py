"""The state in the address: what is written is read again, and nonsense harms nothing."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txpanel.decoding.ranges import FARTHEST_SEED, RANGES
from txpanel.decoding.settings import OFF, USUAL
from txpanel.page.address import LONGEST_TEXT, READERS, VERSION, read, settings, write
from txpanel.session.selection import Question


def test_round_trip() -> None:
    values = {
        "model": "HuggingFaceTB/SmolLM2-135M",
        "text": "a&b=c #\n  שלום 🦊\u200b",
        "layer": 12,
        "head": 3,
        "temperature": 0.8,
        "top_p": 0.8,
        "seed": 7,
        "why": Question("blocks.3.pattern", {"head": 2, "query": 4, "key": 1}),
        "view": "my-view",
        "dark": True,
    }
    assert read(write(values)) == values | {"v": VERSION}


def test_what_can_be_set_can_be_linked() -> None:
    ends = {name: kind(most) for name, (kind, _least, most) in RANGES.items()}
    usual = {"typical_p"}  # at its end: as usual, so not written
    assert read(write(ends)) == {name: value for name, value in ends.items() if name not in usual} | {"v": VERSION}
    assert settings(read(write(ends))) == ends
    assert read(write({"seed": 2**52 + 30}))["seed"] == 2**52 + 30  # a seed that generating has moved on


def test_what_is_usual_is_not_written() -> None:
    assert write({**USUAL, "text": "", "view": ""}) == ""
    assert write({**USUAL, "text": "a"}) == f"?text=a&v={VERSION}"
    assert settings(read(write({**OFF, "text": "a"}))) == OFF


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", USUAL),
        ("?model=nano&dark=1&view=sampling", USUAL),  # nothing of a run: as the bare page
        ("?text=a", OFF),  # of version 1, which left out what was off
        ("?text=a&temperature=0.7", OFF | {"temperature": 0.7}),
        ("?film=abc&seed=3", OFF | {"seed": 3}),
        ("?text=a&v=1", OFF),
        ("?text=a&v=2", USUAL),
        ("?text=a&v=2&top_k=5&top_p=1", USUAL | {"top_k": 5, "top_p": 1.0}),
        ("?text=a&v=99", USUAL),  # of a newer txpanel: the newest that is known here
        ("?text=a&v=two", OFF),
    ],
)
def test_an_address_keeps_the_settings_of_its_version(query: str, expected: dict[str, float]) -> None:
    assert settings(read(query)) == expected


def test_one_bad_value_never_drops_the_rest() -> None:
    bad = "?temperature=warm&layer=-4&head=1e9&top_p=nan&seed=99999999999999999999&view=<script>&dark=maybe&typical_p=0&repetition_penalty=-1&text=kept&zz=1"
    assert read(bad) == {"layer": 0, "seed": FARTHEST_SEED, "text": "kept"}
    assert read("?layer=x&layer=3")["layer"] == 3
    assert read("?why=a b~head-x&why=ln1~head-x&layer=3") == {"layer": 3}


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("temperature=-3", "temperature", 0.0),
        ("temperature=inf", "temperature", 100.0),
        ("top_p=7", "top_p", 1.0),
        ("layer=123456", "layer", 9999),
        ("typical_p=3", "typical_p", 1.0),
        ("repetition_penalty=1.2", "repetition_penalty", 1.2),
        ("why=embed.3.17.cosine", "why", Question("embed.3.17.cosine")),
        ("no_repeat_ngram_size=-2", "no_repeat_ngram_size", 0),
        ("text=%FF%FE", "text", "\ufffd\ufffd"),
    ],
)
def test_clamped(query: str, name: str, value: object) -> None:
    assert read(query)[name] == value


@pytest.mark.parametrize("search", ["", "?", "?&&&", "?====", "?%%%", "?" + "a=1&" * 1000, "?text"])
def test_nonsense_is_no_state(search: str) -> None:
    assert set(read(search)) <= {"text"}


def test_long_texts_stay_out_of_the_address() -> None:
    assert write({"text": "x" * (LONGEST_TEXT + 1), "layer": 2}) == f"?layer=2&v={VERSION}"


LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.one_of(
    LETTERS,
    st.sampled_from(["²", "9" * 4301, "1" * 5000 + ".5", "٣", "1e400", "-0", "nan", "[[", "{", "%", "\x00", "?", "a?b#c", "@" + "0" * 20 + ".1.2"]),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from([*READERS, "zz", ""]), VALUES), max_size=8), LETTERS)
def test_any_address_is_read_and_what_is_read_can_be_written(pairs: list[tuple[str, str]], raw: str) -> None:
    for search in (f"?{urlencode(pairs)}", f"?{raw}", "?" + "&".join(f"{name}={value}" for name, value in pairs)):
        found = read(search)
        assert set(found) <= set(READERS)
        if "text" in found and len(found["text"]) <= LONGEST_TEXT:
            assert read(write(found)).get("text", "") == found["text"]


@pytest.mark.parametrize("text", ["²", "9" * 4301, "what?", "[[", "{'a': 1}"])
def test_any_text_is_read_as_it_is(text: str) -> None:
    assert read("?" + urlencode({"text": text, "layer": 2})) == {"text": text, "layer": 2}
