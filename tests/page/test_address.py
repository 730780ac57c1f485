"""The state in the address: what is written is read again, and nonsense harms nothing."""

from __future__ import annotations

import pytest

from txpanel.decoding.ranges import FARTHEST_SEED, RANGES
from txpanel.page.address import LONGEST_TEXT, read, write
from txpanel.session.selection import Question


def test_round_trip() -> None:
    values = {
        "model": "HuggingFaceTB/SmolLM2-135M",
        "text": "a&b=c #\n  שלום 🦊\u200b",
        "layer": 12,
        "head": 3,
        "temperature": 0.8,
        "top_p": 0.9,
        "seed": 7,
        "why": Question("blocks.3.pattern", {"head": 2, "query": 4, "key": 1}),
        "view": "my-view",
        "dark": True,
    }
    assert read(write(values)) == values


def test_what_can_be_set_can_be_linked() -> None:
    ends = {name: kind(most) for name, (kind, _least, most) in RANGES.items()}
    off = {"top_p", "typical_p"}  # at their end: as usual, so not written
    assert read(write(ends)) == {name: value for name, value in ends.items() if name not in off}
    assert read(write({"seed": 2**52 + 30})) == {"seed": 2**52 + 30}  # a seed that generating has moved on


def test_what_is_usual_is_not_written() -> None:
    assert write({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 0, "text": "", "view": ""}) == ""


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
    assert write({"text": "x" * (LONGEST_TEXT + 1), "layer": 2}) == "?layer=2"
