"""The hub as a source: what is already in its cache, whether it answers, and the download."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from txpanel.errors import DownloadFailed, TxpanelError
from txpanel.messages import _
from txpanel.models import cache
from txpanel.models.progress import Reporter
from txpanel.models.sources import folder as local
from txpanel.models.sources import process

PATIENCE = 60.0  # seconds without a single byte
WORKER = "txpanel.models.sources.hub_worker"


def endpoint() -> str:
    """The hub's address: ``HF_ENDPOINT``, else the usual one."""
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")


def offline() -> bool:
    """Whether the person forbade the hub (``HF_HUB_OFFLINE``, ``TRANSFORMERS_OFFLINE``)."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def download_cache() -> Path:
    """Where downloads go: under ``TXPANEL_CACHE`` where that is set, else the cache all Hugging Face tools share."""
    if os.environ.get("TXPANEL_CACHE"):
        return cache.root() / "hub"
    return shared_cache()


def shared_cache() -> Path:
    """The cache of Hugging Face's own tools, as the environment has it now."""
    if chosen := os.environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME")
    base = (
        Path(home).expanduser()
        if home
        else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    )
    return base / "hub"


def cached(repo: str) -> Path | None:
    """The folder of a complete download of `repo`, ours or another tool's, or ``None``."""
    for base in dict.fromkeys((download_cache(), shared_cache())):
        for snapshot in _snapshots(base / f"models--{repo.replace('/', '--')}"):
            try:
                local.check(snapshot, kind=False)
            except (TxpanelError, OSError):
                continue
            return snapshot
    return None


def _snapshots(repo: Path) -> Iterator[Path]:
    """Snapshots: the one ``main`` points to first, then the newest (a download of ours names no branch)."""
    try:
        current = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        current = ""
    try:
        found = sorted((repo / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return
    yield from sorted(found, key=lambda path: path.name != current)


def reachable(repo: str, timeout: float = 3.0) -> bool:
    """Whether the hub answers for `repo` within `timeout` seconds, name look-up and all."""
    if offline():
        return False
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_answers(repo, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)  # a name server that is silent is not covered by the socket's own time-out
    return bool(answers and answers[0])


def _answers(repo: str, timeout: float) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint()}/api/models/{repo}", timeout=timeout) as reply:
            return bool(reply.status == 200 and isinstance(json.loads(reply.read()), dict))
    except (OSError, ValueError, urllib.error.URLError):
        return False


def fetch(repo: str, reporter: Reporter, *, terms: str = "") -> Path:
    """Download `repo` (configuration, tokenizer, safetensors; never code or pickles), or go on with a download.

    Returns:
        The folder with its files.

    Raises:
        ModelNotFound, DownloadFailed, Unsupported: in words.
        Cancelled: what has arrived stays, and the next call goes on from there.
    """
    if offline():
        raise DownloadFailed(
            _("{repo} is not in the cache, and the hub is switched off (HF_HUB_OFFLINE is set).").format(repo=repo)
        )
    reporter.start("download", terms or _("Asking the hub for {repo}").format(repo=repo))
    env = {
        "HF_HUB_DISABLE_XET": "1",  # plain HTTP can be resumed byte by byte, and stopped at once
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "10"),
        "HF_ENDPOINT": endpoint(),
    }
    with cache.locked(f"hub--{repo.replace('/', '--')}", reporter):
        path = process.run(WORKER, [repo, str(download_cache())], reporter, env=env, patience=PATIENCE)
    found = Path(path)
    local.check(found)
    return found
