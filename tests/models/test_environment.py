"""Environment variables: read at use, with defaults for what is not set or makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from txpanel.models.environment import VARIABLES, Environment, environment, set_environment


def test_nothing_set_gives_the_defaults() -> None:
    assert environment({}) == Environment()
    assert environment(dict.fromkeys(VARIABLES, "")) == Environment()


def test_every_variable_is_understood() -> None:
    given = {
        "TXPANEL_MODEL": " nano ",
        "TXPANEL_MODELS": "nano, gpt2,,",
        "TXPANEL_CACHE": "/somewhere",
        "TXPANEL_PLUGINS": "one, two",
        "TXPANEL_PUBLIC": "1",
        "TXPANEL_DEVICE": "cuda:1",
        "TXPANEL_DTYPE": "bfloat16",
        "TXPANEL_TRACE_MB": "7",
        "TXPANEL_MODEL_MB": "9",
    }
    assert set(given) | {"TXPANEL_LANGUAGE"} == set(VARIABLES)
    assert environment(given) == Environment(
        "nano", ("nano", "gpt2"), Path("/somewhere"), ("one", "two"), True, "cuda:1", "bfloat16", 7_000_000, 9_000_000
    )


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("TXPANEL_MODELS", ",", "models", ()),  # a list was given, with nothing in it: nothing may be chosen freely
        ("TXPANEL_PLUGINS", "none", "plugins", ()),
        ("TXPANEL_PLUGINS", "ALL", "plugins", None),
        ("TXPANEL_PUBLIC", "0", "public", False),
        ("TXPANEL_TRACE_MB", "plenty", "trace_bytes", 512_000_000),
    ],
)
def test_odd_settings(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(environment({variable: text}), field) == value


def test_it_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_DEVICE", "cuda")
    monkeypatch.setenv("TXPANEL_MODELS", "old")
    assert environment().device == "cuda"
    set_environment(device="cpu", models=("a", "b"))
    assert (environment().device, environment().models) == ("cpu", ("a", "b"))
    set_environment()
    assert environment().models == ("a", "b")
