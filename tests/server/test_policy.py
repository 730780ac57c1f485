"""What visitors may choose."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from txpanel.errors import ModelNotFound
from txpanel.models.catalogue import CATALOGUE
from txpanel.server import policy, visitors
from txpanel.session.state import ModelState
from txpanel.session.tree_codec import TreeRecord


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELS", "MODEL", "PUBLIC", "DEVICE", "DTYPE"):
        monkeypatch.delenv(f"TXPANEL_{name}", raising=False)
    monkeypatch.setattr(policy, "_offered", [])


def test_on_ones_own_machine_everything_goes() -> None:
    for host in (None, "localhost", "127.0.0.1"):
        assert policy.allowed_models(host) == tuple(entry.name for entry in CATALOGUE)
        assert policy.any_model(host)
        policy.permit("owner/name", host)
        policy.permit("/some/folder", host)


def test_the_operators_list_is_the_list_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MODELS", " nano, owner/name ,")
    for host in (None, "localhost", "example.org"):
        assert policy.allowed_models(host) == ("nano", "owner/name")
        assert not policy.any_model(host)
        policy.permit("owner/name", host)
        with pytest.raises(ModelNotFound, match="nano, owner/name"):
            policy.permit("/etc/passwd", host)


@pytest.mark.parametrize("how", ["host", "setting", "origin"])
def test_strangers_get_what_the_server_was_started_with(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    host = "example.org" if how == "host" else None
    if how == "origin":
        host = "127.0.0.1"  # behind nginx's plain proxy_pass
        visitors.expose(["127.0.0.1"], ["class.example.org:80"])
    if how == "setting":
        monkeypatch.setenv("TXPANEL_PUBLIC", "1")
    assert policy.allowed_models(host) == ()
    with pytest.raises(ModelNotFound, match="none"):
        policy.permit("gpt2", host)
    policy.offer("smollm2-135m")
    policy.offer("smollm2-135m")
    monkeypatch.setenv("TXPANEL_MODEL", "nano")
    assert policy.allowed_models(host) == ("nano", "smollm2-135m")
    policy.permit("smollm2-135m", host)
    with pytest.raises(ModelNotFound):
        policy.permit("../../etc", host)


def test_another_name_of_an_allowed_model_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = next(entry for entry in CATALOGUE if entry.aliases)
    monkeypatch.setenv("TXPANEL_MODELS", entry.name)
    policy.permit(entry.aliases[0])


def test_a_long_name_is_not_repeated_at_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MODELS", "nano")
    with pytest.raises(ModelNotFound) as refusal:
        policy.permit("x" * 100_000)
    assert len(str(refusal.value)) < 300


def test_where_models_run_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy.options() == {"device": "cpu", "dtype": None}
    monkeypatch.setenv("TXPANEL_DEVICE", "cuda:1")
    monkeypatch.setenv("TXPANEL_DTYPE", "bfloat16")
    assert policy.options() == {"device": "cuda:1", "dtype": "bfloat16"}


@pytest.mark.parametrize("way", ["message", "run file"])
def test_no_way_in_tells_a_stranger_whether_a_path_exists(tmp_path: Path, way: str) -> None:
    """The address of a page goes the way of a message (`Session._load`)."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    said = []
    for name in ("model", "absent", "owner/name"):
        path = name if "/" in name else str(tmp_path / name)
        state = ModelState(permit=partial(policy.permit, host="class.example.org"))
        if way == "message":
            state.load(path)
        else:
            state.restore(TreeRecord("cab", False), model=path)
        assert state.model is None
        said.append(str(state.error).replace(path[:100], "X"))
        state.close()
    assert len(set(said)) == 1
    assert said[0].startswith("“X” is not among the models")
