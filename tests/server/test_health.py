"""`/health` tells ready, loading and failed apart, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from txpanel.errors import ModelNotFound
from txpanel.models import choice
from txpanel.models.choice import Choice
from txpanel.models.language_model import LanguageModel
from txpanel.server import health, launch, policy
from txpanel.server.health import Health
from txpanel.session import shared


@pytest.fixture(autouse=True)
def no_models() -> None:
    """What tests before have loaded would count as a model that visitors have."""
    shared.models.clear()


def test_it_is_loading_then_ready_or_failed() -> None:
    state = Health()
    assert state.status == "loading"
    state.tell("ready")
    with state.attempt():
        pass
    assert state.status == "ready"
    state = Health()
    with state.attempt():
        pass
    assert state.status == "failed"


def test_a_visitor_who_loads_another_model_makes_a_failed_server_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setitem(health.sys.modules, "txpanel.session.shared", SimpleNamespace(models=loaded))  # type: ignore[attr-defined]
    state = Health()
    state.tell("failed")
    assert state.status == "failed"
    loaded.append(object())
    assert state.status == "ready"


def test_the_seconds_count_from_the_last_change(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])
    state = Health()
    now[0] = 103.0
    assert state.seconds == 3
    state.tell("ready")
    now[0] = 104.0
    state.tell("ready")
    assert state.seconds == 1


@pytest.mark.parametrize("error", [None, OSError("No space left on device"), MemoryError()], ids=repr)
def test_the_first_model_decides_whatever_goes_wrong(error: BaseException | None) -> None:
    state = Health()

    @state.attempt()
    def bring() -> None:
        if error is not None:
            raise error
        state.tell("ready")

    with pytest.raises(type(error)) if error else nullcontext():
        bring()
    assert state.status == ("failed" if error else "ready")


@pytest.mark.parametrize("comes", [True, False])
def test_the_first_model_of_a_server_is_what_counts(
    comes: bool, tiny: Callable[[str], LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = health.state

    def load(name: str, **_more: object) -> LanguageModel:
        if not comes:
            raise ModelNotFound("There is none.")
        return tiny("gpt2")

    monkeypatch.setattr(state, "_status", "loading")
    monkeypatch.setattr(policy, "_offered", [])
    monkeypatch.setattr(health, "_a_model_is_loaded", lambda: False)
    monkeypatch.setattr(choice, "choose", lambda: Choice(f"model-{comes}", "Because."))
    monkeypatch.setattr("txpanel.session.shared.load", load)
    launch.bring_model("cpu", None)
    assert state.status == ("ready" if comes else "failed")
