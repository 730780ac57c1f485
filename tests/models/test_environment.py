"""Environment variables: read at use, with defaults for what is not set or makes no sense."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from txpanel.models.environment import REPLACED, VARIABLES, Environment, environment, replaced, set_environment, wrong
from txpanel.models.limits import Limits


def test_nothing_set_gives_the_defaults() -> None:
    assert environment({}) == Environment()
    assert environment(dict.fromkeys(VARIABLES, "")) == Environment()


def test_every_variable_is_understood() -> None:
    given = {
        "TXPANEL_MODEL": " nano ",
        "TXPANEL_MODELS": "nano, gpt2,,",
        "TXPANEL_METRICS": "local, 10.0.0.0/8",
        "TXPANEL_CACHE": "/somewhere",
        "TXPANEL_PLUGINS": "one, two",
        "TXPANEL_PUBLIC": "1",
        "TXPANEL_DEVICE": "cuda:1",
        "TXPANEL_DTYPE": "bfloat16",
        "TXPANEL_MEMORY_MB": "7",
        "TXPANEL_MODEL_MB": "9",
        "TXPANEL_EMBED": "https://a.example, b.example",
        "TXPANEL_UNSAFE_EVAL": "yes",
        "TXPANEL_CLASSES": "1",
        **{f"TXPANEL_{field.name.upper()}": str(n) for n, field in enumerate(fields(Limits), 1)},
    }
    assert set(given) | {"TXPANEL_LANGUAGE", *REPLACED} == set(VARIABLES)
    assert environment(given) == Environment(
        "nano", ("nano", "gpt2"), Path("/somewhere"), ("one", "two"), True, "cuda:1", "bfloat16", 7_000_000, 9_000_000,
        metrics=("local", "10.0.0.0/8"),
        embed=("https://a.example", "b.example"), unsafe_eval=True, classes=True,
        limits={field.name: n for n, field in enumerate(fields(Limits), 1)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("TXPANEL_MODELS", ",", "models", ()),  # a list was given, with nothing in it: nothing may be chosen freely
        ("TXPANEL_PLUGINS", "none", "plugins", ()),
        ("TXPANEL_PLUGINS", "ALL", "plugins", None),
        ("TXPANEL_PUBLIC", "0", "public", False),
        ("TXPANEL_PUBLIC", " ", "public", None),  # nobody has said so: it depends on who can come in
        ("TXPANEL_UNSAFE_EVAL", "0", "unsafe_eval", False),
        ("TXPANEL_CLASSES", "0", "classes", False),
        ("TXPANEL_MEMORY_MB", "plenty", "memory_bytes", None),
        ("TXPANEL_MEMORY_MB", "0", "memory_bytes", 0),
        ("TXPANEL_TRACE_MB", "7", "memory_bytes", 7_000_000),
        ("TXPANEL_MAX_TOKENS", "0", "limits", {"max_tokens": 0}),
        ("TXPANEL_MAX_TOKENS", "many", "limits", {}),
        ("TXPANEL_MAX_TOKENS", "-5", "limits", {}),
        ("TXPANEL_MAX_TOKENS", "²", "limits", {}),
        ("TXPANEL_MAX_TOKENS", "9" * 4301, "limits", {}),
    ],
)
def test_odd_settings(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(environment({variable: text}), field) == value


def test_it_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"TXPANEL_DEVICE": "cuda", "TXPANEL_MODELS": "old"})
    assert environment().device == "cuda"
    set_environment(device="cpu", models=("a", "b"))
    assert (environment().device, environment().models) == ("cpu", ("a", "b"))
    set_environment()
    assert environment().models == ("a", "b")
    os.environ["TXPANEL_MAX_TOKENS"] = "5"
    set_environment(limits={"max_tokens": 0, "max_beams": 3})
    assert environment().limits == {"max_tokens": 0, "max_beams": 3}


def test_a_replaced_variable_says_what_has_taken_its_place() -> None:
    assert replaced({"TXPANEL_MEMORY_MB": "7"}) == []
    (old,) = replaced({"TXPANEL_TRACE_MB": "70"})
    assert "TXPANEL_TRACE_MB is replaced by TXPANEL_MEMORY_MB" in old
    assert "(70)" in old
    both = {"TXPANEL_TRACE_MB": "70", "TXPANEL_MEMORY_MB": "50"}
    assert "is ignored" in replaced(both)[0]
    assert environment(both).memory_bytes == 50_000_000


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TXPANEL_MAX_SESSONS", "3", "There is no variable TXPANEL_MAX_SESSONS. Did you mean TXPANEL_MAX_SESSIONS?"),
        ("TXPANEL_ZZZ", "", "There is no variable TXPANEL_ZZZ."),
        (
            "TXPANEL_MAX_TOKENS",
            "1_000",
            "TXPANEL_MAX_TOKENS is not a whole number of 0 or more (1_000) and is ignored.",
        ),
        ("TXPANEL_MEMORY_MB", "2G", "TXPANEL_MEMORY_MB is not a whole number of 0 or more (2G) and is ignored."),
    ],
)
def test_what_is_misspelt_is_said(variable: str, value: str, said: str) -> None:
    assert wrong({variable: value}) == [said]


def test_what_is_right_or_somebody_elses_is_not_said() -> None:
    numbers = {name: "7" for name in VARIABLES if name.startswith("TXPANEL_MAX_") or name.endswith("_MB")}
    assert wrong({**numbers, "TXPANEL_MODELS": "nano", "TXPANEL_MAX_TOKENS": "", "HOME": "x"}) == []
