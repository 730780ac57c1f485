"""Every test of this folder has its own empty cache; what is shared is copied in, never written through."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from txpanel.models.loading import NANO_FOLDER
from txpanel.models.progress import Progress, Reporter


@pytest.fixture
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test alone; Hugging Face's own is empty too."""
    monkeypatch.setenv("TXPANEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A folder with a whole model, to be damaged."""
    folder = tmp_path / "whole"
    shutil.copytree(NANO_FOLDER, folder)
    return folder


class Seen(Reporter):
    """Keeps every report."""

    interval = 0.0

    def __init__(self, cancel: object = None) -> None:
        self.reports: list[Progress] = []
        super().__init__(self.reports.append, cancel)  # type: ignore[arg-type]


@pytest.fixture
def seen() -> Seen:
    return Seen()
