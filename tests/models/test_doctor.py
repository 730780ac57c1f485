from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest
import torch

from txpanel.models import cache, catalogue, doctor
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance
from txpanel.models.sources import hub, packages


@pytest.fixture
def unreachable(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda repo, timeout=0.0: False)
    monkeypatch.setattr(packages, "reachable", lambda project, timeout=0.0: False)


def status(title: str) -> doctor.Check:
    return next(check for check in doctor.doctor() if check.title == title)


def test_models_lists_the_catalogue(cache_root: Path) -> None:
    rows = doctor.models()
    assert [row.name for row in rows] == catalogue.names()
    assert [row.name for row in rows if row.cached] == ["nano"]
    assert all(row.licence for row in rows)


def test_models_lists_what_is_in_the_cache(cache_root: Path) -> None:
    from txpanel.models.progress import Reporter

    for name in ("smollm2-135m", "mine-0123"):
        with cache.making(name, Reporter()) as folder:
            (folder / "config.json").write_text("{}", encoding="utf-8")
            (folder / "model.safetensors").write_bytes(b"123")
            cache.finish(name, folder, Provenance("gguf", "/home/me/mine.gguf"))
    rows = {row.name: row for row in doctor.models()}
    assert rows["smollm2-135m"].cached
    assert rows["smollm2-135m"].nbytes == 5
    assert rows["mine-0123"].note == "/home/me/mine.gguf"


def test_doctor_names_versions(unreachable: None) -> None:
    checks = {check.title: check for check in doctor.doctor()}
    assert checks["torch"].detail == importlib.metadata.version("torch")
    assert checks["Python"].status == "ok"
    assert "threads" in checks["torch build"].detail
    assert all(check.advice for check in checks.values() if check.status != "ok")


@pytest.mark.parametrize(
    ("built_for", "gpu", "said"), [(None, False, "ok"), ("13.0", True, "ok"), ("13.0", False, "warning")]
)
def test_doctor_names_a_build_for_a_gpu_that_is_not_here(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, built_for: str | None, gpu: bool, said: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(gpu))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "A card")
    check = status("torch build")
    assert check.status == said
    assert ("none is found" in check.detail) == (said == "warning")
    assert ("cuda:0 A card" in check.detail) == gpu
    assert ("CPU build" in check.advice) == (said == "warning")


@pytest.mark.parametrize(("version", "said"), [("1.9.4", "ok"), ("1.9.3", "warning"), ("9.0", "warning")])
def test_doctor_names_a_version_that_was_not_tried(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    found = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == "panel" else found(name))
    check = status("panel")
    assert (check.status, check.detail) == (said, version)
    assert said == "ok" or "1.9.4 to" in check.advice


def test_doctor_on_the_network(unreachable: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (status("hub").status, status("package index").status) == ("warning", "warning")
    monkeypatch.setattr(hub, "reachable", lambda repo, timeout=0.0: True)
    monkeypatch.setattr(packages, "reachable", lambda project, timeout=0.0: True)
    assert (status("hub").status, status("package index").status) == ("ok", "ok")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in status("hub").detail


def test_doctor_on_the_cache(unreachable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status("cache").status == "ok"
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("TXPANEL_CACHE", str(tmp_path / "file" / "cache"))
    assert status("cache").status == "error"
    assert "TXPANEL_CACHE" in status("cache").advice


def test_doctor_on_the_browser(unreachable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert status("browser for tests").status == "warning"
    app = tmp_path / "Google Chrome.app" / "Google Chrome"  # macOS and Windows have it where no PATH leads
    monkeypatch.setattr(doctor, "ELSEWHERE", (str(tmp_path / "gone"), str(app)))
    assert status("browser for tests").status == "warning"
    app.parent.mkdir()
    app.touch()
    assert status("browser for tests").detail == str(app)
    (tmp_path / "chromium").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "chromium").chmod(0o755)
    assert status("browser for tests").detail.endswith("chromium")


def test_doctor_reads_all_bytes_of_all_models_and_deletes_what_changed(
    unreachable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXPANEL_CACHE", str(tmp_path / "models"))
    for name in ("good", "bad"):
        with cache.making(name, Reporter()) as folder:
            (folder / "config.json").write_text("{}", encoding="utf-8")
            (folder / "model.safetensors").write_bytes(b"12345678" * 100_000)
            cache.finish(name, folder, Provenance("folder", "here"))
    weights = cache.root() / "models" / "bad" / "model.safetensors"
    facts = weights.stat()
    content = bytearray(weights.read_bytes())
    content[100_000] ^= 1  # one bit, and nothing says that it was written to
    weights.write_bytes(content)
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.damaged("bad") is None
    checks = {check.title: check for check in doctor.doctor(deep=True)}
    assert checks["good"].status == "ok"
    assert (checks["bad"].status, checks["bad"].detail) == ("error", f"{weights} is damaged")
    assert cache.find("bad") is None
    assert cache.find("good") is not None
    assert "bad" not in {check.title for check in doctor.doctor(deep=True)}


@pytest.mark.parametrize(("version", "said"), [("3.13.1", "ok"), ("3.14.0", "warning")])
def test_doctor_names_a_python_that_was_not_tried(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    monkeypatch.setattr(doctor.platform, "python_version", lambda: version)
    check = status("Python")
    assert check.status == said
    assert check.detail.startswith(version)
    assert said == "ok" or "3.11 to 3.13" in check.advice
