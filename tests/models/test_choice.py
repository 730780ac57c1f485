from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.models.standin import hub_handler, serving
from txpanel.models import cache, choice
from txpanel.models.choice import choose
from txpanel.models.sources import hub, packages


@pytest.fixture
def world(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """What is here and what answers; nothing, until the test says so."""
    facts = {"gpt2": False, "smollm2-135m": False, "hub": False, "index": False}
    monkeypatch.delenv("TXPANEL_MODEL", raising=False)
    monkeypatch.setattr(choice, "is_cached", lambda name: facts[name])
    monkeypatch.setattr(hub, "reachable", lambda repo, timeout=0.0: facts["hub"])
    monkeypatch.setattr(packages, "reachable", lambda project, timeout=0.0: facts["index"])
    return facts


@pytest.mark.parametrize(
    ("true", "name", "words"),
    [
        ((), "nano", "comes with txpanel"),
        (("index",), "smollm2-135m", "package index"),
        (("smollm2-135m",), "smollm2-135m", "SmolLM2 is on this machine"),
        (("smollm2-135m", "index"), "smollm2-135m", "SmolLM2 is on this machine"),
        (("hub",), "gpt2", "the hub has it"),
        (("hub", "index", "smollm2-135m"), "gpt2", "the hub has it"),
        (("gpt2",), "gpt2", "on this machine"),
        (("gpt2", "hub", "smollm2-135m"), "gpt2", "on this machine"),
    ],
)
def test_what_runs_by_itself(world: dict[str, bool], true: tuple[str, ...], name: str, words: str) -> None:
    world.update(dict.fromkeys(true, True))
    chosen = choose()
    assert chosen.name == name
    assert words in chosen.reason


def test_what_was_asked_for_comes_first(world: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    world["gpt2"] = True
    monkeypatch.setenv("TXPANEL_MODEL", "distilgpt2")
    assert choose().name == "distilgpt2"
    assert choose().reason == "This model was set when txpanel was started."
    assert choose("nano") == choice.Choice("nano", "You chose this model.")


def test_a_server_starts_with_a_model_that_its_visitors_may_have(
    world: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    world["gpt2"] = True
    monkeypatch.setenv("TXPANEL_MODELS", "smollm2-135m, nano")
    assert choose() == choice.Choice("smollm2-135m", "This is the first of the models that this server offers.")
    monkeypatch.setenv("TXPANEL_MODEL", "nano")
    assert choose().name == "nano"


def test_every_reason_is_a_sentence(world: dict[str, bool]) -> None:
    assert choose().reason.endswith(".")
    assert choose("x").reason.endswith(".")


def test_a_chosen_model_needs_no_network(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(hub, "reachable", never)
    assert choose("gpt2").name == "gpt2"


def test_a_silent_hub_delays_by_seconds_at_most(cache_root: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXPANEL_MODEL", raising=False)
    monkeypatch.setattr(packages, "reachable", lambda project, timeout=0.0: True)
    with serving(hub_handler({})) as server:
        server.silent = 30
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        begun = time.monotonic()
        assert choose().name == "smollm2-135m"
        assert time.monotonic() - begun < choice.PATIENT + 1.5


def test_cached_asks_both_caches(cache_root: Path, whole: Path) -> None:
    assert choice.is_cached("nano")
    assert not choice.is_cached("gpt2")
    base = hub.shared_cache() / "models--openai-community--gpt2" / "snapshots"
    base.mkdir(parents=True)
    whole.rename(base / "abc")
    assert choice.is_cached("gpt2")
    assert cache.find("gpt2") is None
